"""Grids of images, for looking at."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def grid(images: NDArray[np.uint8], columns: int, side: int = 640) -> bytes:
    """A PNG of images in rows, left to right, enlarged (nearest neighbour) towards `side` pixels and set 1 pixel apart.

    Args:
        images: uint8[n, height, width, channels], n at least 1.
        columns: images in a row.
        side: about how wide the picture shall be, pixels.
    """
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    scale = max(1, side // (columns * (width + 1)))
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = height * scale + 1, width * scale + 1
    sheet = np.full((rows * height + 1, columns * width + 1, channels), 128, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * height + 1, (i % columns) * width + 1
        sheet[top : top + height - 1, left : left + width - 1] = image
    buffer = io.BytesIO()
    Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet).save(buffer, format="png", optimize=True)
    return buffer.getvalue()

"""Draws a grid of images."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_MARGIN_LEVEL = 128


def grid(images: NDArray[np.uint8], columns: int, side: int = 640) -> bytes:
    """Return a PNG of images in rows, from left to right, with a margin of 1 pixel.

    Args:
        images: uint8[n, height, width, channels], n at least 1.
        columns: Number of images in a row.
        side: Approximate width of the grid, pixels. Each image is enlarged by an integer factor (nearest neighbor).
    """
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    scale = max(1, side // (columns * (width + 1)))
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = height * scale + 1, width * scale + 1
    sheet = np.full((rows * height + 1, columns * width + 1, channels), _MARGIN_LEVEL, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * height + 1, (i % columns) * width + 1
        sheet[top : top + height - 1, left : left + width - 1] = image
    buffer = io.BytesIO()
    Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet).save(buffer, format="png", optimize=True)
    return buffer.getvalue()

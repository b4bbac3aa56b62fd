"""Images into bytes: png, webp (lossless) and npy. The same pixels give the same bytes under the same library versions."""

import io
from typing import Literal, get_args

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image, features

from seedmint.models.card import ImageOutput
from seedmint.service.encoders.png import ENCODER, encode_png
from seedmint.service.runtime.arrays import Images
from seedmint.service.runtime.generator import Generator

Format = Literal["png", "webp", "npy"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {"png": "image/png", "webp": "image/webp", "npy": "application/x-npy"}
MAX_SIDE = 4096  # pixels, after enlargement
MAX_SHEET_SIDE = 16383  # pixels of many images in one picture; WebP's limit
GAP = 2  # pixels between the images of a contact sheet

# What decides the bytes of each format beside the pixels.
ENCODERS: dict[Format, str] = {
    "png": ENCODER,
    "webp": f"pillow-{features.version('pil')}-webp-{features.version('webp')}",
    "npy": "npy-1.0",
}


def max_scale(output: ImageOutput) -> int:
    """Largest enlargement that keeps both sides within `MAX_SIDE`; at least 1."""
    return max(1, MAX_SIDE // max(output.height, output.width))


def enlarge(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Nearest neighbour: each pixel of uint8[h, w, c] becomes scale x scale pixels."""
    return image if scale == 1 else image.repeat(scale, axis=0).repeat(scale, axis=1)


def text_of(generator: Generator, seeds: int | str, label: int | None, truncation: float) -> dict[str, str]:
    """What a PNG says about itself: the address of its image, or of a sheet's images, whose seeds are a text."""
    text = {"seed": str(seeds)}
    if label is not None:
        text["label"] = str(label)
    if truncation != 1.0:
        text["truncation"] = repr(truncation)
    return text | {"model": generator.name, "digest": generator.digest}


def encode(image: NDArray[np.uint8], form: Format, text: dict[str, str] | None = None) -> bytes:
    """One image as a file.

    Args:
        image: uint8[height, width, channels], 1, 3 or 4 channels.
        form: png, webp or npy.
        text: PNG text chunks, in this order; other formats carry none.
    """
    if form == "png":
        return encode_png(image, text or {})
    buffer = io.BytesIO()
    if form == "npy":
        npy.write_array(buffer, np.ascontiguousarray(image), version=(1, 0), allow_pickle=False)
    else:
        # Without exact=True, WebP changes the colour of pixels whose alpha is 0.
        options = {"exact": True} if image.shape[2] == 4 else {}
        picture(image).save(buffer, "WEBP", lossless=True, **options)
    return buffer.getvalue()


def contact_sheet(images: Images, columns: int) -> NDArray[np.uint8]:
    """Images side by side, row by row, with white gaps.

    Args:
        images: uint8[n, h, w, c], n at least 1.
        columns: images in a row.

    Returns:
        uint8[rows * (h + GAP) - GAP, columns * (w + GAP) - GAP, c]
    """
    n, height, width, channels = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    cells = np.full((rows * columns, height + GAP, width + GAP, channels), 255, np.uint8)
    cells[:n, :height, :width] = images
    sheet = cells.reshape(rows, columns, height + GAP, width + GAP, channels).swapaxes(1, 2)
    return sheet.reshape(rows * (height + GAP), columns * (width + GAP), channels)[:-GAP, :-GAP]


def sheet_size(output: ImageOutput, columns: int, rows: int, scale: int) -> tuple[int, int]:
    """Width and height in pixels of a contact sheet of enlarged images."""
    return columns * (output.width * scale + GAP) - GAP, rows * (output.height * scale + GAP) - GAP


def picture(image: NDArray[np.uint8]) -> Image.Image:
    """uint8[height, width, channels], 1, 3 or 4 channels, as Pillow has it."""
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)

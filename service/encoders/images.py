"""Encodes images as png, webp (lossless) and npy. With the same library versions, the same pixels give the same bytes."""

import io
from typing import Literal, get_args

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image, features

from seedmint.models.card import ImageOutput
from seedmint.models.grid import arrange
from seedmint.service.encoders.png import ENCODER, encode_png
from seedmint.service.runtime.arrays import Images
from seedmint.service.runtime.generator import Generator

ImageFormat = Literal["png", "webp", "npy"]
FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)
MEDIA_TYPES: dict[ImageFormat, str] = {"png": "image/png", "webp": "image/webp", "npy": "application/x-npy"}
MAX_SIDE = 4096  # pixels of an enlarged image
MAX_SHEET_SIDE = 16383  # pixels of a contact sheet; the limit of WebP
GAP = 2  # pixels between the images of a contact sheet

# Identifies the encoder of each format. Another encoder may give other bytes for the same pixels.
ENCODERS: dict[ImageFormat, str] = {
    "png": ENCODER,
    "webp": f"pillow-{features.version('pil')}-webp-{features.version('webp')}",
    "npy": "npy-1.0",
}


def max_scale(output: ImageOutput) -> int:
    """Return the largest scale that keeps both sides within `MAX_SIDE`, at least 1.

    Args:
        output: The output in the card of the generator.
    """
    return max(1, MAX_SIDE // max(output.height, output.width))


def text_of(generator: Generator, seeds: int | str, label: int | None, truncation: float) -> dict[str, str]:
    """Return the text chunks of a PNG: how to generate its image again.

    Args:
        generator: The generator of the image.
        seeds: The seed of an image, or the seeds of a contact sheet as text.
        label: The label, or None.
        truncation: Factor on z.
    """
    text = {"seed": str(seeds)}
    if label is not None:
        text["label"] = str(label)
    if truncation != 1.0:
        text["truncation"] = repr(truncation)
    return text | {"model": generator.name, "digest": generator.digest}


def encode(image: NDArray[np.uint8], form: ImageFormat, text: dict[str, str] | None = None) -> bytes:
    """Encode one image as a file.

    Args:
        image: uint8[height, width, channels] with 1, 3 or 4 channels.
        form: "png", "webp" or "npy".
        text: Text chunks of a PNG, in this order. Other formats have no text.
    """
    if form == "png":
        return encode_png(image, text or {})
    buffer = io.BytesIO()
    if form == "npy":
        npy.write_array(buffer, np.ascontiguousarray(image), version=(1, 0), allow_pickle=False)
    else:
        # Without exact=True, WebP changes the color of pixels whose alpha is 0.
        options = {"exact": True} if image.shape[2] == 4 else {}
        picture(image).save(buffer, "WEBP", lossless=True, **options)
    return buffer.getvalue()


def contact_sheet(images: Images, columns: int) -> NDArray[np.uint8]:
    """Arrange images in rows, with white gaps.

    Args:
        images: uint8[n, h, w, c], n at least 1.
        columns: Images in a row.

    Returns:
        uint8[rows * (h + GAP) - GAP, columns * (w + GAP) - GAP, c].
    """
    return arrange(images, columns, GAP, 255)


def sheet_size(output: ImageOutput, columns: int, rows: int, scale: int) -> tuple[int, int]:
    """Return width and height of a contact sheet in pixels.

    Args:
        output: The output in the card of the generator.
        columns: Images in a row.
        rows: Rows of images.
        scale: Scale of each image.
    """
    return columns * (output.width * scale + GAP) - GAP, rows * (output.height * scale + GAP) - GAP


def picture(image: NDArray[np.uint8]) -> Image.Image:
    """Convert an image to a Pillow image.

    Args:
        image: uint8[height, width, channels] with 1, 3 or 4 channels.
    """
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)

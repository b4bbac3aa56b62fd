"""Encodes images as png, webp, jpg, avif and npy. With the same library versions, the same pixels give the same bytes."""

import io
from typing import Any, Literal, get_args

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image, _avif, features

from seedmint.models.card import ImageOutput
from seedmint.models.grid import arrange
from seedmint.service.encoders.png import ENCODER, encode_png
from seedmint.service.runtime.arrays import Images
from seedmint.service.runtime.generator import Generator

ImageFormat = Literal["png", "webp", "jpg", "avif", "npy"]
FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)
MEDIA_TYPES: dict[ImageFormat, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "avif": "image/avif",
    "npy": "application/x-npy",
}
# The quality of an image without the parameter `quality`; None for lossless. Formats that are absent are always lossless.
DEFAULT_QUALITY: dict[ImageFormat, int | None] = {"webp": None, "jpg": 90, "avif": 75}
MAX_QUALITY = 100
_FULL_CHROMA = 90  # from this quality, JPEG keeps a color value for each pixel instead of one for four
_AVIF_SPEED = 8  # speed 6 takes twice as long and saves a tenth of the bytes
MAX_SIDE = 4096  # pixels of an enlarged image
MAX_SHEET_SIDE = 16383  # pixels of a contact sheet; the limit of WebP
GAP = 2  # pixels between the images of a contact sheet

# Identifies the encoder of each format. Another encoder may give other bytes for the same pixels.
ENCODERS: dict[ImageFormat, str] = {
    "png": ENCODER,
    "webp": f"pillow-{features.version('pil')}-webp-{features.version('webp')}",
    "jpg": f"pillow-{features.version('pil')}-jpeg-{features.version('libjpeg_turbo') or features.version('jpg')}",
    "avif": f"pillow-{features.version('pil')}-avif-{features.version('avif')}-{_avif.codec_versions()}-speed-{_AVIF_SPEED}",
    "npy": "npy-1.0",
}


def image_formats(output: ImageOutput) -> tuple[ImageFormat, ...]:
    """Return the formats of a generator's images. JPEG has no opacity.

    Args:
        output: The output in the card of the generator.
    """
    return _FORMATS_WITH_OPACITY if output.channels == 4 else FORMATS


_FORMATS_WITH_OPACITY = tuple(form for form in FORMATS if form != "jpg")


def max_scale(output: ImageOutput) -> int:
    """Return the largest scale that keeps both sides within `MAX_SIDE`, at least 1.

    Args:
        output: The output in the card of the generator.
    """
    return max(1, MAX_SIDE // max(output.height, output.width))


def text_of(
    generator: Generator, seeds: int | str, label: int | str | None, truncation: float, key: str = "seed"
) -> dict[str, str]:
    """Return the text chunks of a PNG: how to generate its image again.

    Args:
        generator: The generator of the image.
        seeds: The seed of an image, or the seeds of a contact sheet as text.
        label: The label, or a choice of labels as text, or None.
        truncation: Factor on z.
        key: Name of the first chunk.
    """
    text = {key: str(seeds)}
    if label is not None:
        text["label"] = str(label)
    if truncation != 1.0:
        text["truncation"] = repr(truncation)
    return text | {"model": generator.name, "digest": generator.digest}


def encode(
    image: NDArray[np.uint8], form: ImageFormat, text: dict[str, str] | None = None, quality: int | None = None
) -> bytes:
    """Encode one image as a file.

    Args:
        image: uint8[height, width, channels] with 1, 3 or 4 channels; 4 channels are not for "jpg".
        form: "png", "webp", "jpg", "avif" or "npy".
        text: Text chunks of a PNG, in this order. Other formats have no text.
        quality: 1 to 100, of "webp", "jpg" and "avif"; None for lossless "webp".
    """
    if form == "png":
        return encode_png(image, text or {})
    buffer = io.BytesIO()
    if form == "npy":
        npy.write_array(buffer, np.ascontiguousarray(image), version=(1, 0), allow_pickle=False)
    else:
        picture(image).save(buffer, _PILLOW_FORMATS[form], **_options(image, form, quality))
    return buffer.getvalue()


_PILLOW_FORMATS = {"webp": "WEBP", "jpg": "JPEG", "avif": "AVIF"}


def _options(image: NDArray[np.uint8], form: ImageFormat, quality: int | None) -> dict[str, Any]:
    """Return the options of Pillow's encoder."""
    if form == "jpg":
        assert quality is not None
        return {"quality": quality, "subsampling": 0 if quality >= _FULL_CHROMA else 2}
    if form == "avif":  # one thread, so that an image takes no processor from the generators
        return {"quality": quality, "speed": _AVIF_SPEED, "codec": "aom", "max_threads": 1}
    if quality is not None:
        return {"quality": quality}
    # Without exact=True, WebP changes the color of pixels whose alpha is 0.
    return {"lossless": True} | ({"exact": True} if image.shape[2] == 4 else {})


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

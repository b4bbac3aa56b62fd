"""Decodes one image, and converts it to the size and channels of a data set."""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from seedmint.models.errors import one_line

_GRAY_MODES = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N")


class UnreadableImageError(ValueError):
    """An image that cannot be used."""


@dataclass(frozen=True)
class Conversion:
    """How images are converted.

    Attributes:
        side: The central square is resized to this side, in pixels; None keeps the size.
        channels: 1 gray, 3 color, 4 color with opacity.
        bits: Number of bits that the 16-bit images use, 8 to 16; the upper 8 are kept.
    """

    side: int | None
    channels: Literal[1, 3, 4]
    bits: int = 16


@dataclass(frozen=True)
class Facts:
    """Properties of an image, read from its header.

    Attributes:
        size: Width and height in pixels, upright.
        is_gray: Whether the image has no color.
        is_transparent: Whether the image has an opacity.
        highest: Largest value of an image of 16 bits; None for other images.
    """

    size: tuple[int, int]
    is_gray: bool
    is_transparent: bool
    highest: int | None


def read_facts(content: bytes | NDArray[np.uint8]) -> Facts:
    """Return facts about an image. Decodes only images of 16 bits.

    Args:
        content: See `Record.content`.

    Raises:
        UnreadableImageError: The content is not an image.
    """
    if isinstance(content, np.ndarray):
        height, width, channels = content.shape
        return Facts((width, height), channels == 1, channels == 4, None)
    try:
        with Image.open(io.BytesIO(content)) as image:
            highest = None
            if image.mode.startswith("I;16"):
                highest = int(np.asarray(image, dtype=np.uint16).max())
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientations 5 to 8 exchange the axes
            size = (height, width) if turned else (width, height)
            return Facts(size, image.mode in _GRAY_MODES, image.has_transparency_data, highest)
    except Exception as error:  # the decoders of damaged files raise many types
        raise UnreadableImageError(_problem(error)) from None


def decode(content: bytes | NDArray[np.uint8], conversion: Conversion) -> NDArray[np.uint8]:
    """Return an image as uint8[channels, height, width], upright. Without 4 channels, transparent parts are on white.

    Args:
        content: See `Record.content`.
        conversion: The size and channels.

    Raises:
        UnreadableImageError: The content is damaged, or has 32 bits per pixel and channel.
    """
    if isinstance(content, np.ndarray):
        if conversion.side is None and content.shape[2] == conversion.channels:
            return np.ascontiguousarray(content.transpose(2, 0, 1))
        image: Image.Image = Image.fromarray(content[..., 0] if content.shape[2] == 1 else content)
    else:
        image = _open(content)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, dtype=np.uint16) >> max(0, conversion.bits - 8)).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise UnreadableImageError(f"32-bit pixels (mode {image.mode}) have no white level; convert the file to 8 or 16 bits")
    if image.has_transparency_data and conversion.channels != 4:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = image.convert({1: "L", 3: "RGB", 4: "RGBA"}[conversion.channels])
    if conversion.side is not None:
        image = _square(image, conversion.side)
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _open(content: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content)) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
            return image
    except Exception as error:  # the decoders of damaged files raise many types
        raise UnreadableImageError(_problem(error)) from None


def _square(image: Image.Image, side: int) -> Image.Image:
    crop = min(image.size)
    if image.size == (side, side):
        return image
    left, top = (image.width - crop) // 2, (image.height - crop) // 2
    return image.crop((left, top, left + crop, top + crop)).resize((side, side), Image.Resampling.LANCZOS)


def _problem(error: Exception) -> str:
    text = one_line(error, 200)
    return "not an image, or damaged" if "cannot identify image file" in text else text or type(error).__name__

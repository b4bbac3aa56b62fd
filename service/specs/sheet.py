"""The spec of a contact sheet: the images of many seeds in one picture."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from seedmint.models.grid import enlarge
from seedmint.models.seeds import Seeds
from seedmint.service.encoders.images import ENCODERS, MEDIA_TYPES, contact_sheet, encode, sheet_size, text_of
from seedmint.service.runtime.arrays import Images
from seedmint.service.runtime.generator import Generator
from seedmint.service.runtime.pieces import pieces
from seedmint.service.specs.errors import SpecError
from seedmint.service.specs.pictures import PicturePiece, check_picture_size
from seedmint.service.specs.values import (
    require_format,
    require_images,
    require_label,
    require_range,
    require_scale,
    require_truncation,
)

SheetFormat = Literal["png", "webp"]
SHEET_FORMATS: tuple[SheetFormat, ...] = get_args(SheetFormat)

_LAYOUT = "sheet-1"  # part of the ETag: change the name when the layout changes


@dataclass(frozen=True, slots=True)
class SheetLimits:
    """Limits of a contact sheet, besides the limit of its sides.

    Attributes:
        seeds: Maximum number of seeds, and of columns.
        pixels: Maximum number of pixels.
    """

    seeds: int
    pixels: int


@dataclass(frozen=True, slots=True)
class SheetSpec:
    """One contact sheet. The digest of the generator and these fields determine the pixels.

    Attributes:
        seeds: Seeds of the images, row by row.
        columns: Number of images in a row, at most the number of seeds.
        label: Class number of all images; None for the labels that the seeds determine.
        truncation: Factor on z.
        scale: Factor of the nearest-neighbor enlargement of each image.
        format: File format.
    """

    seeds: Seeds
    columns: int
    label: int | None
    truncation: float
    scale: int
    format: SheetFormat

    @classmethod
    def create(
        cls,
        generator: Generator,
        seeds: Seeds,
        extension: str,
        columns: int | None = None,
        label: int | None = None,
        truncation: float = 1.0,
        scale: int = 1,
        limits: SheetLimits | None = None,
    ) -> "SheetSpec":
        """Create the spec after a check of the values against a generator.

        Args:
            generator: A generator of images.
            seeds: At least one seed.
            extension: "png" or "webp".
            columns: Number of images in a row; None for an almost square sheet.
            label: Class number of all images; None for the labels that the seeds determine.
            truncation: 0.001 to 1.
            scale: 1 to the limit of the generator.
            limits: Limits besides the limit of the sides; None for no limits.

        Raises:
            SpecError: A value is invalid.
        """
        output = require_images(generator)
        form = require_format(extension, SHEET_FORMATS)
        count = seeds.count
        if limits is not None and count > limits.seeds:
            raise SpecError(f"{count} seeds are too many: the limit is {limits.seeds}", field="seeds", reason="too_large")
        if columns is None:
            columns = square_columns(count)
        elif limits is not None:
            require_range(columns, 1, limits.seeds, "columns")
        elif columns < 1:
            raise SpecError(f"{columns} is out of range: at least 1", field="columns")
        columns = min(columns, count)
        truncation, scale = require_truncation(generator, truncation), require_scale(output, scale)
        size = sheet_size(output, columns, -(-count // columns), scale)
        max_pixels = None if limits is None else limits.pixels
        if label is not None:
            require_label(generator, label)
        check_picture_size(*size, 1, max_pixels, "seeds" if scale == 1 else "scale")
        if label is not None:
            labels = generator.labels(seeds.array())
            if labels is not None and (labels == label).all():
                label = None
        return cls(seeds, columns, label, truncation, scale, form)

    @property
    def media_type(self) -> str:
        """Media type of the file."""
        return MEDIA_TYPES[self.format]

    @property
    def encoder(self) -> str:
        """Layout, and name and version of the encoder, which determine the bytes together with the pixels."""
        return f"{_LAYOUT}-{ENCODERS[self.format]}"

    @property
    def count(self) -> int:
        """Number of images."""
        return self.seeds.count

    def pieces(self, generator: Generator) -> Iterator[PicturePiece]:
        """Yield seeds and labels of the images, in pieces of at most one batch.

        Args:
            generator: The generator of the images.
        """
        return ((seeds, labels, None) for seeds, labels in pieces(generator, self.seeds, self.label))

    def encode(self, generator: Generator, images: Images) -> bytes:
        """Encode the contact sheet.

        Args:
            generator: The generator of the images.
            images: uint8[count, height, width, channels].
        """
        sheet = contact_sheet(enlarge(images, self.scale), self.columns)
        return encode(sheet, self.format, text_of(generator, str(self.seeds), self.label, self.truncation))


def square_columns(count: int) -> int:
    """Return the number of columns of an almost square sheet.

    Args:
        count: Number of images.
    """
    return math.ceil(math.sqrt(count))

"""Contact sheets: the images of many seeds in one picture, at one address."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from seedmint.models.errors import UserError
from seedmint.models.seeds import Seeds, parse_seeds
from seedmint.service.api.composition import Part, check_size
from seedmint.service.api.urls import (
    image_output,
    label_of,
    model_path,
    parse_format,
    parse_query,
    query_of,
    scale_of,
    truncation_of,
    whole,
)
from seedmint.service.encoders.images import ENCODERS, MEDIA_TYPES, contact_sheet, encode, enlarge, sheet_size, text_of
from seedmint.service.problems import Problem
from seedmint.service.runtime.arrays import Images
from seedmint.service.runtime.generator import Generator
from seedmint.service.runtime.pieces import pieces

SheetFormat = Literal["png", "webp"]
SHEET_FORMATS: tuple[SheetFormat, ...] = get_args(SheetFormat)
SHEET_PARAMETERS = ("seeds", "columns", "label", "truncation", "scale")
MAX_SHEET_SEEDS = 1024
MAX_SHEET_PIXELS = 1 << 23

_LAYOUT = "sheet-1"  # changes when the same address becomes other pixels


@dataclass(frozen=True, slots=True)
class SheetAddress:
    """One contact sheet, wholly named.

    Attributes:
        columns: images in a row, at most as many as there are seeds.
        label: one for all; None where each image has the label that its seed names.
    """

    seeds: Seeds
    columns: int
    label: int | None
    truncation: float
    scale: int
    format: SheetFormat

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]

    @property
    def encoder(self) -> str:
        """What decides the bytes beside the pixels."""
        return f"{_LAYOUT}-{ENCODERS[self.format]}"

    @property
    def count(self) -> int:
        """Images in it."""
        return self.seeds.count

    def path(self, generator: Generator) -> str:
        """The one address of this sheet."""
        columns = None if self.columns == _square(self.count) else self.columns
        query = query_of(seeds=self.seeds, columns=columns, label=self.label, truncation=self.truncation, scale=self.scale)
        return f"{model_path(generator)}/grid.{self.format}{query}"

    def parts(self, generator: Generator) -> Iterator[Part]:
        """What to make, piece by piece."""
        return ((seeds, labels, None) for seeds, labels in pieces(generator, self.seeds, self.label))

    def finish(self, generator: Generator, images: Images) -> bytes:
        """The images as the file that goes out."""
        sheet = contact_sheet(np.stack([enlarge(image, self.scale) for image in images]), self.columns)
        return encode(sheet, self.format, text_of(generator, str(self.seeds), self.label, self.truncation))


def parse_sheet(generator: Generator, extension: str, query: str) -> SheetAddress:
    """The sheet named by `grid.{format}` and a query string. Without `columns` it is about square.

    Raises:
        Problem: 400 malformed, 404 unknown format or no generator of images, 413 too large, 422 out of range; `field` says
            which part.
    """
    output = image_output(generator)
    form = parse_format(extension, SHEET_FORMATS)
    parameters = parse_query(query, SHEET_PARAMETERS)
    try:
        seeds = parse_seeds(parameters.get("seeds", ""), MAX_SHEET_SEEDS)
    except UserError as error:
        raise Problem.of(error, "seeds") from None
    columns = whole("columns", parameters["columns"]) if "columns" in parameters else _square(seeds.count)
    if not 1 <= columns <= MAX_SHEET_SEEDS:
        raise Problem(422, f"columns {columns} is out of range: 1 to {MAX_SHEET_SEEDS}", "columns")
    columns = min(columns, seeds.count)
    label = label_of(generator, parameters)
    if label is not None and (own := generator.labels(seeds.array())) is not None and (own == label).all():
        label = None  # each seed names it
    truncation, scale = truncation_of(parameters), scale_of(parameters, output)
    size = sheet_size(output, columns, -(-seeds.count // columns), scale)
    check_size(*size, 1, MAX_SHEET_PIXELS, "seeds" if scale == 1 else "scale")
    return SheetAddress(seeds, columns, label, truncation, scale, form)


def sheet_template(generator: Generator) -> str:
    """The pinned addresses of a generator's contact sheets, as a URI template (RFC 6570)."""
    parameters = [name for name in SHEET_PARAMETERS if name != "label" or generator.card.classes is not None]
    return f"{model_path(generator)}/grid.{{format}}{{?{','.join(parameters)}}}"


def _square(count: int) -> int:
    return math.ceil(math.sqrt(count))

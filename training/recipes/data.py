"""The section `data` of a recipe: the data set."""

from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from seedmint.models.columns import MAX_LENGTH
from seedmint.training.recipes.base import Config

PackedSource = Literal["folder", "zip", "npz", "webdataset", "parquet", "batch"]
"""Sources of your own images, which are decoded once and packed."""

PACKED_SOURCES: tuple[PackedSource, ...] = get_args(PackedSource)

ImageSource = Literal["digits", "icons", "mnist", "fashion-mnist", "stacked-mnist", PackedSource]
TableSource = Literal["table", "penguins"]
"""Sources of tables with typed columns."""

TABLE_SOURCES: tuple[TableSource, ...] = get_args(TableSource)

TextSource = Literal["text", "words"]
"""Sources of strings."""

TEXT_SOURCES: tuple[TextSource, ...] = get_args(TextSource)

SampleSource = Literal["gaussian-1d", "ring-2d", "sines", TableSource, TextSource, "series"]
"""Sources of samples, which are data other than images."""

SAMPLE_SOURCES: tuple[SampleSource, ...] = get_args(SampleSource)

_FILE_FIELDS = ("columns", "encoding", "delimiter", "header")
"""Fields of tables and of strings."""

_TABLE_FIELDS = ("columns", "label", "units", "encoding", "delimiter", "decimal", "thousands", "header")


class Data(Config):
    """The data set.

    `path` is required for your own data: a local path or a URL such as s3://bucket/photos. For MNIST and Fashion-MNIST it is a
    directory of IDX files.
    """

    source: Literal[ImageSource, SampleSource]
    path: str | None = None
    side: int | None = Field(
        default=None,
        ge=8,
        le=512,
        description="your own images: crop each image to a square and resize it to this side, in pixels",
    )
    channels: Literal[1, 3, 4] | None = Field(
        default=None,
        description="your own images: 1 grayscale, 3 color, 4 color with opacity; null keeps the channels of the files, and "
        "puts transparent parts on white",
    )
    skip_broken: bool = Field(default=False, description="your own images: train without the images that are not readable")
    columns: list[str] | None = Field(
        default=None,
        min_length=1,
        description="tables: the columns to learn, null takes all except the label; strings: their column",
    )
    label: str | list[str] | None = Field(
        default=None,
        description="tables only: the column of labels: text, numbers or booleans; or several such columns, whose combinations "
        "of values are the classes",
    )
    units: dict[str, str] | None = Field(
        default=None, description="tables only: the units of columns, for the card, such as {income: EUR}"
    )
    encoding: str | None = Field(
        default=None, description="CSV tables and strings: encoding of the text, such as utf-8 or latin-1; null finds it"
    )
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="CSV files only: the character between cells; null finds it"
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="CSV tables only: the mark before decimals; null finds it for each column"
    )
    thousands: Literal[",", ".", " ", "'"] | None = Field(
        default=None, description="CSV tables only: the mark between groups of three digits; null finds it for each column"
    )
    header: bool | None = Field(
        default=None, description="CSV tables and strings: whether the first line has the names of the columns; null finds it"
    )
    length: int | None = Field(
        default=None,
        ge=1,
        le=MAX_LENGTH,
        description="strings only: greatest number of characters; null takes that of the data, if it is at most 40",
    )
    longer: Literal["cut", "leave_out"] | None = Field(
        default=None, description="strings only: what happens to strings that are longer than `length`; null refuses them"
    )
    licence: str | None = Field(default=None, description="licence of your own data, for the card")
    first: int | None = Field(default=None, ge=1, description="train only on n examples")
    order: Literal["drawn", "stored"] = Field(
        default="drawn",
        description="which examples `first` takes: by a fixed pseudorandom draw (draw-v1), or the first in the order of the "
        "files, for data that are stored in random order",
    )

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of labels of a table; empty without labels."""
        return (self.label,) if isinstance(self.label, str) else tuple(self.label or ())

    @field_validator("label")
    @classmethod
    def _labels_are_distinct(cls, label: str | list[str] | None) -> str | list[str] | None:
        if isinstance(label, list) and (not label or len(set(label)) < len(label)):
            raise ValueError("must be null, a column, or a list of different columns")
        return label

    @model_validator(mode="after")
    def _check_source(self) -> "Data":
        if self.source in (*PACKED_SOURCES, "table", "series", "text") and self.path is None:
            raise ValueError(f"path is required for source {self.source}")
        if self.source == "digits" and self.path is not None:
            raise ValueError("path is not allowed for source digits, which comes with scikit-learn")
        if self.source == "penguins" and self.path is not None:
            raise ValueError("path is not allowed for source penguins, which comes with palmerpenguins")
        if self.source in ("gaussian-1d", "ring-2d", "sines", "icons") and self.path is not None:
            raise ValueError(f"path is not allowed for source {self.source}, which is generated")
        converts = self.side is not None or self.channels is not None or self.skip_broken
        if converts and self.source not in PACKED_SOURCES:
            raise ValueError(f"side, channels and skip_broken are allowed only for sources {', '.join(PACKED_SOURCES)}")
        if self.order == "stored" and self.first is None:
            raise ValueError("order is allowed only with first")
        allowed = _FILE_FIELDS if self.source == "text" else _TABLE_FIELDS if self.source in TABLE_SOURCES else ()
        wrong = [name for name in _TABLE_FIELDS if name not in allowed and getattr(self, name) is not None]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} are not allowed for source {self.source}")
        if self.source != "text" and (self.length is not None or self.longer is not None):
            raise ValueError("length and longer are allowed only for source text")
        return self

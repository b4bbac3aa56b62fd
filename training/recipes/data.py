"""The section `data` of a recipe: the data set."""

from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from seedmint.models.columns import MAX_LENGTH
from seedmint.models.places import is_possible_path
from seedmint.models.seeds import quoted
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

Missing = Literal["interpolate", "mask"]
"""What happens to missing values of series."""

Holdout = Literal["series", "time"]
"""What is held out of windows: whole series, or blocks of time."""

_TABLE_FIELDS = ("columns", "label", "units", "encoding", "delimiter", "decimal", "thousands", "header")
SERIES_FIELDS = ("id", "time", "layout", "missing", "window", "stride", "holdout")
"""Fields that only series have."""


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
        description="tables and series: the columns to learn, null takes all except the label; strings: their column",
    )
    label: str | list[str] | None = Field(
        default=None,
        description="tables and series: the column of labels: text, numbers or booleans; of tables also several such columns, "
        "whose combinations of values are the classes",
    )
    units: dict[str, str] | None = Field(
        default=None, description="tables and series: the units of columns, for the card, such as {income: EUR}"
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
    id: str | None = Field(default=None, description="series, one row for each step: the column that names the series")
    time: str | None = Field(
        default=None,
        description="series, one row for each step: the column of times; null finds it, or takes the rows in order",
    )
    layout: Literal["long", "wide"] | None = Field(
        default=None, description="series: long, one row for each step, or wide, one row for each series; null finds it"
    )
    missing: Missing | None = Field(
        default=None,
        description="series: interpolate missing values by a line between their neighbors, or mask them, so that they are not "
        "learned; null refuses them",
    )
    window: int | None = Field(
        default=None, ge=2, description="series: cut long series into windows of n steps; null learns whole series"
    )
    stride: int | None = Field(
        default=None, ge=1, description="series: steps from one window to the next; null: about 20,000 windows, or all"
    )
    holdout: Holdout | None = Field(
        default=None,
        description="windows of series: hold out whole series, or blocks of time; null: series, if there are at least ten",
    )
    licence: str | None = Field(default=None, description="licence of your own data, for the card")
    first: int | None = Field(default=None, ge=1, description="train only on n examples")
    order: Literal["drawn", "stored"] = Field(
        default="drawn",
        description="which examples `first` takes: by a fixed pseudorandom draw (draw-v1), or the first in the order of the "
        "files, for data that are stored in random order",
    )

    @property
    def series_label(self) -> str | None:
        """The column of labels of series; None without labels."""
        return self.labels[0] if self.labels else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of labels of a table; empty without labels."""
        return (self.label,) if isinstance(self.label, str) else tuple(self.label or ())

    @field_validator("path")
    @classmethod
    def _path_is_possible(cls, path: str | None) -> str | None:
        if path is not None and "://" not in path and not is_possible_path(path):
            raise ValueError(f"{quoted(path)} is not a path that a file can have")
        return path

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
        allowed = _FILE_FIELDS if self.source == "text" else _TABLE_FIELDS if self.source in (*TABLE_SOURCES, "series") else ()
        wrong = [name for name in _TABLE_FIELDS if name not in allowed and getattr(self, name) is not None]
        if wrong:
            raise ValueError(f"not allowed for source {self.source}: {', '.join(wrong)}")
        if self.source != "text" and (self.length is not None or self.longer is not None):
            raise ValueError("length and longer are allowed only for source text")
        if self.source != "series" and any(getattr(self, name) is not None for name in SERIES_FIELDS):
            raise ValueError(f"{', '.join(SERIES_FIELDS)} are allowed only for source series")
        if self.source == "series" and len(self.labels) > 1:
            raise ValueError("series have one column of labels")
        if self.window is None and (self.stride is not None or self.holdout is not None):
            raise ValueError("stride and holdout need window")
        return self

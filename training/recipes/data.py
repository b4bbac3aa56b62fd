"""The section `data` of a recipe: the data set."""

from typing import Literal, get_args

from pydantic import Field, model_validator

from seedmint.training.recipes.base import Config

ImageSource = Literal["digits", "mnist", "fashion-mnist", "stacked-mnist", "folder", "npz"]
SampleSource = Literal["gaussian-1d", "ring-2d", "sines", "table", "series"]
"""Sources of samples, which are data other than images."""

SAMPLE_SOURCES: tuple[SampleSource, ...] = get_args(SampleSource)


class Data(Config):
    """The data set.

    `path` is required for your own data. For MNIST and Fashion-MNIST it is a directory of IDX files.
    """

    source: Literal[ImageSource, SampleSource]
    path: str | None = None
    side: int | None = Field(
        default=None, ge=8, le=512, description="folder only: crop each image to a square and resize it to this side, in pixels"
    )
    channels: Literal[1, 3, 4] | None = Field(
        default=None,
        description="folder only: 1 grayscale, 3 color, 4 color with opacity; null keeps the channels of the files, and puts "
        "transparent parts on white",
    )
    columns: list[str] | None = Field(
        default=None,
        min_length=1,
        description="table only: the numeric columns to learn; null takes all columns except the label",
    )
    label: str | None = Field(default=None, description="table only: the column of labels, text or integers")
    licence: str | None = Field(default=None, description="licence of your own data, for the card")
    first: int | None = Field(default=None, ge=1, description="train only on the first n examples, in the order of the files")

    @model_validator(mode="after")
    def _check_source(self) -> "Data":
        if self.source in ("folder", "npz", "table", "series") and self.path is None:
            raise ValueError(f"path is required for source {self.source}")
        if self.source == "digits" and self.path is not None:
            raise ValueError("path is not allowed for source digits, which comes with scikit-learn")
        if self.source in ("gaussian-1d", "ring-2d", "sines") and self.path is not None:
            raise ValueError(f"path is not allowed for source {self.source}, which is generated")
        if self.source != "folder" and (self.side is not None or self.channels is not None):
            raise ValueError("side and channels are allowed only for source folder")
        if self.source != "table" and (self.columns is not None or self.label is not None):
            raise ValueError("columns and label are allowed only for source table")
        return self

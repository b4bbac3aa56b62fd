"""Parts of the card that describe the weights: their origin, their licences and their evaluation."""

from typing import Any, Literal

from pydantic import Field, field_validator

from seedmint.models.card_part import CardPart, Line, Sha256, is_none
from seedmint.models.training_curve import TrainingCurve


class Dataset(CardPart):
    """The training data.

    Attributes:
        name: Name of the data set.
        digest: SHA-256 of the training arrays, in hexadecimal.
        examples: Number of training examples.
    """

    name: str
    digest: Sha256 | None = None
    examples: int | None = Field(default=None, ge=1)


class OriginalFile(CardPart):
    """One file that an import read.

    Attributes:
        sha256: SHA-256 of the file, in hexadecimal.
        producer: Program that wrote the file, such as "pytorch 2.13.0"; null if the file does not name it.
        opset: Version of the ONNX operators; null if the file is not ONNX.
    """

    sha256: Sha256
    producer: Line | None = None
    opset: int | None = Field(default=None, ge=1)


class Import(CardPart):
    """Origin of a generator that another project made.

    Attributes:
        originals: The files that were imported, in the order of the command; empty if unknown.
        options: The options of the import that were given, by name.
        difference: Greatest difference from the outputs of the original framework, in gray levels or in the units of the
            samples; null without a comparison.
    """

    originals: tuple[OriginalFile, ...] = Field(default=(), max_length=16)
    options: dict[str, Any] = Field(default_factory=dict)
    difference: float | None = Field(default=None, ge=0)


class Provenance(CardPart):
    """Origin of the weights. Fields that an imported file does not state are null.

    Attributes:
        recipe: The training recipe.
        recipe_digest: SHA-256 of the recipe as sorted JSON, in hexadecimal.
        dataset: The training data.
        steps: Training steps of the weights.
        weights: "last" for the final weights, "ema" for their exponential moving average.
        training_seed: Seed of the training run.
        code_version: Git commit of the training code.
        libraries: Name -> version of the libraries that trained the generator.
        curve: Statistics during the training; null if they are unknown.
        imported: Origin of an imported generator, the JSON field `import`; null for a generator that Seedmint trained.
    """

    recipe: dict[str, Any] | None = None
    recipe_digest: Sha256 | None = None
    dataset: Dataset | None = None
    steps: int | None = Field(default=None, ge=0)
    weights: Literal["last", "ema"] | None = None
    training_seed: int | None = Field(default=None, ge=0)
    code_version: str | None = None
    libraries: dict[str, str] = Field(default_factory=dict)
    curve: TrainingCurve | None = Field(default=None, exclude_if=is_none)
    imported: Import | None = Field(default=None, alias="import")


class Metric(CardPart):
    """One result of the evaluation. Compare results only if `metric` and `protocol` are the same.

    Attributes:
        metric: Name of the metric.
        protocol: How the metric was computed.
        value: The result.
        standard_error: Standard error of `value`.
        samples: Number of generated samples.
        real: Mean score of real data in place of generated data, of as many samples; null if it was not measured.
        interval: Where a perfect generator's score lies with a probability of 99.9%, from real-against-real draws.
    """

    metric: str
    protocol: str
    value: float
    standard_error: float | None = Field(default=None, ge=0)
    samples: int = Field(ge=1)
    real: float | None = Field(default=None, exclude_if=is_none)
    interval: tuple[float, float] | None = Field(default=None, exclude_if=is_none)

    @field_validator("interval")
    @classmethod
    def _interval_is_ordered(cls, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        if interval is not None and interval[0] > interval[1]:
            raise ValueError("interval must be [lower end, upper end]")
        return interval


class Licence(CardPart):
    """Licences, as SPDX identifiers if possible.

    Attributes:
        data: Licence of the training data.
        weights: Licence of the weights.
    """

    data: str | None = None
    weights: str | None = None

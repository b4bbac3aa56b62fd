"""The recipe: everything that decides what a run computes, as a validated model."""

import hashlib
import json
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seedmint.models.card import Name, field_errors
from seedmint.models.errors import UserError
from seedmint.models.noise import MAX_Z_DIM


class RecipeError(UserError):
    """A recipe that cannot be read, or a field of it that is unknown or wrong; the message names the field."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


ImageSource = Literal["digits", "mnist", "fashion-mnist", "stacked-mnist", "folder", "npz"]
SampleSource = Literal["gaussian-1d", "ring-2d", "sines", "table", "series"]
"""Data that are not images."""


class Data(_Part):
    """The data set. `path` is where it lies: needed for data of your own, a directory of IDX files for MNIST and its kind."""

    source: Literal[ImageSource, SampleSource]
    path: str | None = None
    side: int | None = Field(
        default=None, ge=8, le=64, description="folder only: crop to a square and resize to this side, pixels"
    )
    channels: Literal[1, 3] | None = Field(default=None, description="folder only: 1 grey, 3 colour; null takes the files'")
    columns: list[str] | None = Field(
        default=None, min_length=1, description="table only: the columns to learn, all numeric; null takes all but the label's"
    )
    label: str | None = Field(default=None, description="table only: the column of labels, text or whole numbers")
    licence: str | None = Field(default=None, description="licence of the data, for the card, where they are your own")
    first: int | None = Field(default=None, ge=1, description="train on the first so many examples alone, in the files' order")

    @model_validator(mode="after")
    def _fields_fit_the_source(self) -> "Data":
        if self.source in ("folder", "npz", "table", "series") and self.path is None:
            raise ValueError(f"path is missing: source {self.source} needs to know where the data lie")
        if self.source == "digits" and self.path is not None:
            raise ValueError("path is for other sources: digits come with scikit-learn")
        if self.source in ("gaussian-1d", "ring-2d", "sines") and self.path is not None:
            raise ValueError(f"path is for other sources: {self.source} is generated")
        if self.source != "folder" and (self.side is not None or self.channels is not None):
            raise ValueError("side and channels are for source folder alone")
        if self.source != "table" and (self.columns is not None or self.label is not None):
            raise ValueError("columns and label are for source table alone")
        return self


class PaperGenerator(_Part):
    """z -> ReLU layers -> sigmoid, as in the paper; weights uniform in ±init, output bias from the pixel marginals."""

    kind: Literal["paper"]
    width: int = Field(default=1200, ge=1, le=16384)
    layers: int = Field(default=2, ge=1, le=16)
    init: float = Field(default=0.05, gt=0)


class PaperDiscriminator(_Part):
    """Maxout layers with dropout, as in the paper; weights uniform in ±init. `keep` are probabilities."""

    kind: Literal["paper"]
    width: int = Field(default=240, ge=1, le=16384, description="maxout units a layer")
    pieces: int = Field(default=5, ge=1, le=64, description="linear pieces a unit")
    layers: int = Field(default=2, ge=1, le=16)
    init: float = Field(default=0.005, gt=0)
    keep_input: float = Field(default=0.8, gt=0, le=1)
    keep_hidden: float = Field(default=0.5, gt=0, le=1)


class ConvolutionalGenerator(_Part):
    """Transposed convolutions with batch normalisation (Radford et al., 2016), ending in a sigmoid."""

    kind: Literal["convolutional"]
    width: int = Field(default=32, ge=1, le=1024, description="channels at half the image's side; doubled at each halving")


class ConvolutionalDiscriminator(_Part):
    """Strided convolutions with leaky ReLU and spectral normalisation; labels by projection (Miyato & Koyama, 2018)."""

    kind: Literal["convolutional"]
    width: int = Field(default=32, ge=1, le=1024, description="channels at half the image's side; doubled at each halving")
    spectral_norm: bool = True


class MlpGenerator(_Part):
    """For samples: z -> ReLU layers -> linear."""

    kind: Literal["mlp"]
    width: int = Field(default=128, ge=1, le=16384)
    layers: int = Field(default=2, ge=1, le=16, description="hidden layers")


class MlpDiscriminator(_Part):
    """For samples: leaky ReLU layers, then one logit."""

    kind: Literal["mlp"]
    width: int = Field(default=128, ge=1, le=16384)
    layers: int = Field(default=2, ge=1, le=16, description="hidden layers")


class SequenceGenerator(_Part):
    """For series: transposed convolutions over time with batch normalisation, ending in a linear one."""

    kind: Literal["sequence"]
    width: int = Field(default=32, ge=1, le=1024, description="channels at half the series' length; doubled at each halving")


class SequenceDiscriminator(_Part):
    """For series: strided convolutions over time with leaky ReLU and spectral normalisation; labels by projection."""

    kind: Literal["sequence"]
    width: int = Field(default=32, ge=1, le=1024, description="channels at half the series' length; doubled at each halving")
    spectral_norm: bool = True


Generator = Annotated[PaperGenerator | ConvolutionalGenerator | MlpGenerator | SequenceGenerator, Field(discriminator="kind")]
Discriminator = Annotated[
    PaperDiscriminator | ConvolutionalDiscriminator | MlpDiscriminator | SequenceDiscriminator, Field(discriminator="kind")
]


class _Rule(_Part):
    """The learning rate at update t (from 0) is max(floor, learning_rate / decay**t)."""

    learning_rate: float = Field(gt=0)
    decay: float = Field(default=1.0, ge=1, le=2)
    floor: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _floor_is_below(self) -> "_Rule":
        if self.floor > self.learning_rate:
            raise ValueError(f"floor {self.floor} is above learning_rate {self.learning_rate}")
        return self


class Momentum(_Rule):
    """Gradient descent with momentum, which goes linearly from `momentum` to `final_momentum` over the first `ramp` updates."""

    kind: Literal["momentum"]
    momentum: float = Field(default=0.5, ge=0, lt=1)
    final_momentum: float | None = Field(default=None, ge=0, lt=1)
    ramp: int = Field(default=1, ge=1)


class Adam(_Rule):
    """Adam (Kingma & Ba, 2015)."""

    kind: Literal["adam"]
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)


class RMSProp(_Rule):
    """RMSProp (Tieleman & Hinton, 2012)."""

    kind: Literal["rmsprop"]
    alpha: float = Field(default=0.99, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)


Rule = Annotated[Momentum | Adam | RMSProp, Field(discriminator="kind")]


class Rules(_Part):
    """The gradient-based learning rule of each network."""

    generator: Rule
    discriminator: Rule


MetricName = Literal["parzen", "frechet", "kid", "prdc", "labels", "modes", "nearest"]
"""What may be measured, of a generator file and in the course of a run; see `seedmint.training.evaluation.metric_families`."""

SampleMetric = Literal["marginals", "correlations", "ring"]
"""The same of samples; see `seedmint.training.evaluation.sample_metrics`."""

SAMPLE_METRICS: tuple[SampleMetric, ...] = get_args(SampleMetric)
_SAMPLE_SOURCES = get_args(SampleSource)


class Every(_Part):
    """How often, in steps, a run writes what."""

    log: int = Field(default=100, ge=1)
    preview: int = Field(default=1000, ge=1)
    checkpoint: int = Field(default=1000, ge=1)
    evaluate: int | None = Field(default=None, ge=1, description="steps between measurements of `metrics`; null: none")


class Watch(_Part):
    """What a run notices about itself while it trains. Nothing here changes what it computes."""

    reports: int = Field(default=10, ge=1, description="reports (every.log) in a row that saturation or equilibrium must last")
    saturation: float = Field(default=0.01, gt=0, lt=0.5, description="D is saturated: D(x) above 1 - this, D(G(z)) below it")
    epsilon: float = Field(default=0.05, gt=0, lt=0.5, description="equilibrium: D(x) and D(G(z)) this near to one half")
    stop_at_equilibrium: bool = Field(default=False, description="end the run, finished, at the equilibrium")
    previews: int = Field(default=3, ge=1, description="previews (every.preview) in a row that collapse must last")
    collapse: float = Field(
        default=0.5, ge=0, lt=1, description="G is collapsing below this share of the data's mean distance between two examples"
    )


class Recipe(_Part):
    """All that decides what a run computes. One step is one iteration of Algorithm 1: k D-steps and one G-step."""

    name: Name
    title: str = Field(min_length=1, max_length=200)
    data: Data
    conditional: bool = Field(default=False, description="train G and D on labels too")
    prior: Literal["normal", "uniform"] = "normal"
    z_dim: int = Field(default=100, ge=1, le=MAX_Z_DIM)
    generator: Generator
    discriminator: Discriminator
    objective: Literal["minimax", "non-saturating"] = "non-saturating"
    order: Literal["alternating", "simultaneous"] = Field(
        default="alternating",
        description="alternating: as Algorithm 1 is printed; simultaneous: both gradients at the same parameters, from one "
        "shared batch of generated images, as the paper's code does",
    )
    k: int = Field(default=1, ge=1, description="D-steps an iteration")
    m: int = Field(default=100, ge=2, description="minibatch, images")
    steps: int = Field(ge=1, description="iterations of Algorithm 1")
    rule: Rules
    ema: float = Field(default=0.0, ge=0, lt=1, description="decay a step of the averaged generator; 0 keeps none")
    ema_start: int = Field(default=0, ge=0, description="steps before the average begins")
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    threads: int = Field(default=1, ge=1, le=256, description="CPU threads; part of the recipe because sums depend on it")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="bfloat16: products of matrices and convolutions alone; weights and sums stay float32"
    )
    metrics: list[Literal[MetricName, SampleMetric]] = Field(default=[], description="what `every.evaluate` measures")
    every: Every = Every()
    watch: Watch = Watch()

    @model_validator(mode="after")
    def _fields_fit_each_other(self) -> "Recipe":
        if self.order == "simultaneous" and self.k != 1:
            raise ValueError("k: the simultaneous order makes one D-step an iteration; k must be 1")
        if (self.every.evaluate is None) != (not self.metrics):
            raise ValueError("metrics and every.evaluate go together: what to measure, and how often")
        if self.ema_start and not self.ema:
            raise ValueError("ema_start: there is no average to begin, for ema is 0")
        for metric in self.metrics:
            if (metric in SAMPLE_METRICS) != self.of_samples or (metric == "ring" and self.data.source != "ring-2d"):
                raise ValueError(f"metrics: {metric} does not apply to data of source {self.data.source}")
        return self

    @property
    def of_samples(self) -> bool:
        """Whether the data are samples, which are not images."""
        return self.data.source in _SAMPLE_SOURCES

    @property
    def image_metrics(self) -> tuple[MetricName, ...]:
        """Those of `metrics` that measure images."""
        return tuple(metric for metric in get_args(MetricName) if metric in self.metrics)

    @property
    def noise_rule(self) -> str:
        return f"philox-{self.prior}-v1"

    def document(self) -> dict[str, Any]:
        """The recipe as JSON values, every default spelled out."""
        return self.model_dump(mode="json")

    def published(self) -> dict[str, Any]:
        """The document without `data.path`, which is this machine's business: the data's digest says what they are."""
        document = self.document()
        document["data"]["path"] = None
        return document

    def digest(self) -> str:
        """SHA-256 of the published document."""
        return hashlib.sha256(json.dumps(self.published(), sort_keys=True).encode()).hexdigest()

    def to_yaml(self) -> str:
        return str(yaml.safe_dump(self.document(), sort_keys=False, allow_unicode=True))


def validated(document: dict[str, Any], place: str) -> Recipe:
    """The recipe in a parsed document.

    Raises:
        RecipeError: naming every field that is unknown or wrong, and `place`.
    """
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeError(f"{place}: " + "; ".join(f"{field}: {message}" for field, message in field_errors(error))) from None

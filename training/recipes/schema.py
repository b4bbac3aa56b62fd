"""The recipe: every setting that determines the result of a training run, as a pydantic model."""

import hashlib
import json
from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, ValidationError, ValidationInfo, field_validator, model_validator

from seedmint.models.card import Name
from seedmint.models.errors import UserError
from seedmint.models.noise import MAX_Z_DIM
from seedmint.training.recipes.augmentation import Augmentation
from seedmint.training.recipes.base import Config
from seedmint.training.recipes.data import SAMPLE_SOURCES, Data
from seedmint.training.recipes.field_errors import field_errors
from seedmint.training.recipes.networks import Discriminator as DiscriminatorConfig
from seedmint.training.recipes.networks import Generator
from seedmint.training.recipes.optimizers import Optimizers
from seedmint.training.recipes.penalties import Penalty
from seedmint.training.recipes.schedules import Below1

CHANGEABLE_FIELDS = (
    "cuda_graph",
    "data.path",
    "early_stop",
    "every",
    "keep_best",
    "metrics",
    "name",
    "steps",
    "title",
    "watch",
)
"""Fields of a recipe that can change when a run is resumed. The finished iterations do not depend on them."""

RECORDED_FIELDS = ("rule.generator.learning_rate", "rule.discriminator.learning_rate")
"""Fields that can change when a run is resumed, and whose change is recorded in `history`."""


Threads = Annotated[
    Annotated[Literal["auto"], Tag("word")] | Annotated[int, Field(ge=1, le=256), Tag("number")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "number"),
]


class RecipeError(UserError):
    """A recipe that cannot be read, or has an unknown or wrong field. `field` is the dotted path of the first wrong field."""

    reason = "invalid_recipe"


ObjectiveName = Literal["minimax", "non-saturating", "relativistic", "hinge", "least-squares", "wasserstein"]

ImageMetric = Literal[
    "parzen", "frechet", "kid", "prdc", "labels", "modes", "nearest", "spectrum", "patches", "random-features"
]
"""Metric families of images; see `seedmint.training.evaluation.metric_families`."""

BestMetric = Literal["parzen", "frechet", "kid", "prdc", "labels", "modes", "spectrum", "patches", "random-features"]
"""Metric families that can choose the best checkpoint; see `seedmint.training.runs.best`."""

SampleMetric = Literal["marginals", "correlations", "dynamics", "ring", "records"]
"""Metrics of samples; see `seedmint.training.evaluation.sample_metrics`."""

SAMPLE_METRICS: tuple[SampleMetric, ...] = get_args(SampleMetric)


class Every(Config):
    """Intervals, in steps, at which a run writes its outputs."""

    log: int = Field(default=100, ge=1)
    preview: int = Field(default=1000, ge=1)
    preview_seconds: int | None = Field(
        default=300,
        ge=10,
        description="seconds after which a preview is written in any case, the first after 45 seconds; null: never",
    )
    checkpoint: int = Field(default=1000, ge=1)
    evaluate: int | None = Field(
        default=None, ge=1, description="steps between measurements of `metrics`; null: no measurements"
    )


class Watch(Config):
    """Thresholds of the diagnostics. They do not change the result, except that `stop_at_equilibrium` can end the run."""

    reports: int = Field(
        default=10,
        ge=1,
        description="number of consecutive log entries (interval: every.log) after which saturation or equilibrium is reported",
    )
    saturation: float = Field(
        default=0.01, gt=0, lt=0.5, description="D is saturated if D(x) exceeds 1 - saturation and D(G(z)) is below saturation"
    )
    epsilon: float = Field(
        default=0.05, gt=0, lt=0.5, description="equilibrium: D(x) and D(G(z)) differ from 1/2 by at most epsilon"
    )
    memorization: float = Field(
        default=0.8,
        gt=0.5,
        lt=1,
        description="overfitting is reported if D prefers a training example to a held-out example with a higher probability",
    )
    stop_at_equilibrium: bool = Field(default=False, description="finish the run when the equilibrium is reported")
    previews: int = Field(
        default=3,
        ge=1,
        description="number of consecutive previews (interval: every.preview) after which mode collapse is reported",
    )
    collapse: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="mode collapse is reported if the mean distance between two generated examples is below this fraction of "
        "the same distance in the data",
    )
    column: float = Field(
        default=0.15,
        gt=0,
        le=1,
        description="tables: the collapse of a column is reported if the distance between the distributions of generated and "
        "real values exceeds this limit (text and booleans: total variation; others: Kolmogorov-Smirnov)",
    )


class Change(Config):
    """A change of a field when a run was resumed."""

    step: int = Field(ge=0, description="number of iterations before the change")
    field: str
    old: Any
    new: Any


class Start(Config):
    """The run whose weights a run has started from."""

    name: str = Field(description="name of the generator of that run")
    step: int = Field(ge=0, description="step of the checkpoint")
    recipe_digest: str = Field(description="SHA-256 of the recipe of that run")
    data_digest: str = Field(description="SHA-256 of the training data of that run")


class Recipe(Config):
    """Settings of a training run. One step is one iteration of Algorithm 1: k updates of D and one update of G."""

    name: Name
    title: str = Field(min_length=1, max_length=200)
    data: Data
    conditional: bool = Field(default=False, description="train G and D with labels")
    prior: Literal["normal", "uniform"] = "normal"
    z_dim: int = Field(default=100, ge=1, le=MAX_Z_DIM)
    generator: Generator
    discriminator: DiscriminatorConfig
    objective: ObjectiveName = Field(default="non-saturating", description="see `seedmint.training.objectives`")
    penalty: Penalty = Penalty()
    augmentation: Augmentation | None = Field(default=None, description="changes of the images that D receives")
    order: Literal["alternating", "simultaneous"] = Field(
        default="alternating",
        description="alternating: as in Algorithm 1; simultaneous: the gradients of D and G are computed before either is "
        "updated, from one shared batch of generated examples, as in the paper's code",
    )
    k: int = Field(default=1, ge=1, description="updates of D per iteration")
    m: int = Field(default=100, ge=2, description="minibatch size, examples")
    steps: int = Field(ge=1, description="iterations of Algorithm 1")
    rule: Optimizers = Field(description="the optimizers of G and D (the learning rules of Algorithm 1)")
    ema: Below1 = Field(default=0.0, description="decay per step of the averaged generator; 0 keeps no average")
    ema_start: int = Field(default=0, ge=0, description="steps before the average starts")
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    threads: Threads = Field(
        default=1,
        description="CPU threads; the number of threads changes the rounding of sums, and so the result. auto: measured when a "
        "run starts, and then recorded",
    )
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        default="float32",
        description="bfloat16 is used only for matrix products and convolutions; weights and sums stay float32. auto: bfloat16 "
        "where the hardware computes it, otherwise float32; recorded when a run starts",
    )
    cuda_graph: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="record the kernels of an iteration once and start them together, on a CUDA GPU; always: fail where this "
        "is not possible. The result is the same",
    )
    metrics: list[Literal[ImageMetric, SampleMetric]] = Field(
        default=[], description="metrics to measure; the interval is every.evaluate"
    )
    keep_best: BestMetric | None = Field(
        default=None, description="keep the checkpoint with the best value of this member of `metrics` in best/"
    )
    early_stop: int | None = Field(
        default=None, ge=1, description="finish the run after this number of measurements without a better value of keep_best"
    )
    every: Every = Every()
    watch: Watch = Watch()
    history: list[Change] = Field(default=[], description="written by `seedmint resume --set rule...learning_rate=...`")
    started_from: Start | None = Field(default=None, description="written by `seedmint train --from RUN`")

    @field_validator("augmentation")
    @classmethod
    def _check_augmentation(cls, augmentation: Augmentation | None, info: ValidationInfo) -> Augmentation | None:
        data = info.data.get("data")
        if augmentation is not None and data is not None and data.source in SAMPLE_SOURCES:
            raise ValueError(f"needs images, but source {data.source} consists of samples")
        return augmentation

    @model_validator(mode="after")
    def _check_fields(self) -> "Recipe":
        if self.order == "simultaneous" and self.k != 1:
            raise ValueError("order: simultaneous requires k: 1")
        if (self.every.evaluate is None) != (not self.metrics):
            raise ValueError("metrics and every.evaluate must be set together")
        if self.keep_best is not None and self.keep_best not in self.metrics:
            raise ValueError(f"keep_best: {self.keep_best} must be one of metrics")
        if self.early_stop is not None and self.keep_best is None:
            raise ValueError("early_stop requires keep_best")
        if self.ema_start and not self.ema:
            raise ValueError("ema_start requires ema above 0")
        for metric in self.metrics:
            measures_samples = metric in SAMPLE_METRICS
            sources = {"ring": ("ring-2d",), "dynamics": ("series", "sines")}.get(metric)
            needs_other_data = sources is not None and self.data.source not in sources
            if measures_samples != self.uses_samples or needs_other_data:
                raise ValueError(f"metric {metric} does not apply to source {self.data.source}")
        return self

    @property
    def uses_samples(self) -> bool:
        """Whether the data are samples, and not images."""
        return self.data.source in SAMPLE_SOURCES

    @property
    def image_metrics(self) -> tuple[ImageMetric, ...]:
        """The members of `metrics` that measure images."""
        return tuple(metric for metric in get_args(ImageMetric) if metric in self.metrics)

    @property
    def num_threads(self) -> int:
        """CPU threads of a recipe whose `threads` is a number, as that of every run is."""
        if self.threads == "auto":
            raise RecipeError("choose a number: only new runs measure it", field="threads", reason="not_measured")
        return self.threads

    @property
    def uses_bfloat16(self) -> bool:
        """Whether matrix products are in bfloat16, for a recipe whose `precision` is not `auto`."""
        if self.precision == "auto":
            raise RecipeError("choose float32 or bfloat16: only new runs decide", field="precision", reason="not_measured")
        return self.precision == "bfloat16"

    @property
    def noise_rule(self) -> str:
        """Name of the noise rule, which maps seeds to z; see `seedmint.models.noise`. It is not related to the field `rule`."""
        return f"philox-{self.prior}-v1"

    def document(self) -> dict[str, Any]:
        """Return the recipe as JSON values, with every default."""
        return self.model_dump(mode="json")

    def published(self) -> dict[str, Any]:
        """Return the document with `data.path` set to null, because the path is valid only on this machine.

        The card contains the digest of the data instead.
        """
        document = self.document()
        document["data"]["path"] = None
        return document

    def digest(self) -> str:
        """Return the SHA-256 of the published document, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.published(), sort_keys=True).encode()).hexdigest()


def validate_recipe(document: dict[str, Any], source: str) -> Recipe:
    """Validate a parsed document.

    Args:
        document: A recipe as JSON or YAML values.
        source: Where the document comes from, for the error message.

    Raises:
        RecipeError: At least one field is unknown or wrong. `field` is the path of the first wrong field; the message lists
            all wrong fields.
    """
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        first, *others = field_errors(error, Recipe, document)
        # The caller renders `field` before the message, so the message repeats the names of the other fields only.
        message = "; ".join([f"{first[1]} ({source})", *(f"{field}: {text}" for field, text in others)])
        raise RecipeError(message, field=first[0] or None) from None

"""Evaluation of a generator: all metrics that apply to it and to its data, next to what real images score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Card, Metric
from seedmint.models.errors import UserError
from seedmint.training.evaluation.metric_families import FAMILIES, Sample, measure, sample_of, samples_of, why_not
from seedmint.training.evaluation.metrics.labels import histogram
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.recipes.schema import MetricName

TRUSTED_ACCURACY = 0.9  # of a classifier on real images, for its figures to stand on a card

_OF_UNSEEN_IMAGES: tuple[MetricName, ...] = ("nearest",)  # training images are no stand-in for generated ones


@dataclass(frozen=True)
class ClassCount:
    """One class of the data: its share of the training images, of the generated ones as the judge sees them, and how many of
    those that were asked for are seen as it (None of a generator without labels, or where none was asked for)."""

    name: str
    data: float
    generated: float
    recognised: float | None


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        families: the families measured, with their metrics.
        real_scores: by metric, what real images score in the generated ones' place; empty where the data have no test set.
        skipped: why a family does not apply.
        sample: the images that were measured.
        judge_accuracy: of the classifier that some metrics depend on; None where none does.
    """

    families: dict[MetricName, tuple[Metric, ...]]
    real_scores: dict[str, float]
    skipped: dict[MetricName, str]
    sample: Sample
    judge_accuracy: float | None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(metric for metrics in self.families.values() for metric in metrics)

    @property
    def judge_is_trusted(self) -> bool:
        return self.judge_accuracy is None or self.judge_accuracy >= TRUSTED_ACCURACY

    def classes(self) -> tuple[ClassCount, ...]:
        """Each class; none where the labels were not measured."""
        if "labels" not in self.families:
            return ()
        train, asked, seen = self.sample.real.train, self.sample.asked, self.sample.seen.labels
        assert train.classes is not None
        assert train.labels is not None
        data, generated = (histogram(labels, len(train.classes)) for labels in (train.labels, seen))
        return tuple(
            ClassCount(
                name,
                float(data[label] / data.sum()),
                float(generated[label] / generated.sum()),
                None if asked is None or not (asked == label).any() else float((seen[asked == label] == label).mean()),
            )
            for label, name in enumerate(train.classes)
        )


def evaluate_generator(
    card: Card,
    images: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
    real: RealData,
    names: Sequence[MetricName] | None,
    samples: int | None,
    on_task: Callable[[str], None],
) -> Evaluation:
    """Measure a generator.

    Args:
        card: the generator's.
        images: uint8[n, height, width, channels] of int64[n] seeds.
        real: what its images are held against.
        names: the families to measure; None: all that apply.
        samples: how many images; None: each family's own number.
        on_task: told what is done next.

    Raises:
        UserError: the generator's images are not of the data's shape, or a family that was asked for does not apply.
    """
    channels, height, width = real.shape
    if card.output.shape != (height, width, channels):
        raise UserError(
            f"{card.name} makes images of shape {card.output.shape}, and {real.name} has {(height, width, channels)}"
        )
    reasons = {name: why_not(name, real, card.classes) for name in names or FAMILIES}
    skipped = {name: reason for name, reason in reasons.items() if reason is not None}
    if names is not None and skipped:
        raise UserError("; ".join(f"--metrics: {name} does not apply: {reason}" for name, reason in skipped.items()))
    chosen = [name for name in reasons if name not in skipped]
    judged = any(FAMILIES[name].judged for name in chosen)
    accuracy = real.judge.accuracy if judged else None
    counts = {name: samples_of(name, samples) for name in chosen}
    on_task("generate")
    sample = sample_of(images, len(card.classes or ()), max(counts.values(), default=0), real)
    families: dict[MetricName, tuple[Metric, ...]] = {}
    for name in chosen:
        on_task(name)
        families[name] = measure(name, sample, counts[name])
    compared = [name for name in chosen if name not in _OF_UNSEEN_IMAGES] if real.test is not None else []
    stand_in = Sample(*real.stand_in(max((counts[name] for name in compared), default=0)), real)
    scores: dict[str, float] = {}
    for name in compared:
        on_task(f"{name} of real images")
        scores |= {metric.metric: metric.value for metric in measure(name, stand_in, counts[name])}
    return Evaluation(families, scores, skipped, sample, accuracy)


def card_with(card: Card, evaluation: Evaluation) -> Card:
    """The card with the evaluation's metrics, in the place of what it had of the same families."""
    replaced = tuple(entry for name in evaluation.families for entry in FAMILIES[name].entries)
    kept = [
        metric
        for metric in card.evaluation
        if not any(metric.metric == entry or metric.metric.startswith(f"{entry}-") for entry in replaced)
    ]
    return card.model_copy(update={"evaluation": (*kept, *evaluation.metrics)})

"""Evaluates a generator: all metrics that apply, with the scores of real images as a baseline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Card
from seedmint.models.errors import UserError
from seedmint.models.neighbours import Neighbours
from seedmint.models.provenance import Metric
from seedmint.training.evaluation.image_sample import ImageSample, sample_seeds
from seedmint.training.evaluation.image_set import joined
from seedmint.training.evaluation.metric_families import FAMILIES, copying_metrics, inapplicable_reason, measure, num_samples
from seedmint.training.evaluation.metrics.labels import histogram
from seedmint.training.evaluation.real_draws import random_orders, resamples, with_intervals
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.recipes.schema import ImageMetric

MIN_CLASSIFIER_ACCURACY = 0.9
"""Smallest accuracy of a classifier on real images with which its scores can be written to a card."""


@dataclass(frozen=True)
class ClassCount:
    """Frequencies of one class.

    Attributes:
        name: Name of the class.
        data: Share of the training images.
        generated: Share of the generated images that the classifier assigns to the class.
        recognised: Share of the images requested with this label that the classifier assigns to the class; None if the
            generator has no labels, or no image was requested with this label.
    """

    name: str
    data: float
    generated: float
    recognised: float | None


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation.

    Attributes:
        families: The measured families with their metrics.
        skipped: Why a family does not apply, by family.
        sample: The measured images.
        classifier_accuracy: Accuracy of the classifier on real images; None if no metric uses the classifier.
    """

    families: dict[ImageMetric, tuple[Metric, ...]]
    skipped: dict[ImageMetric, str]
    sample: ImageSample
    classifier_accuracy: float | None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics, in the order of the families."""
        return tuple(metric for metrics in self.families.values() for metric in metrics)

    @property
    def real_scores(self) -> dict[str, float]:
        """Mean scores of real images by metric."""
        return {metric.metric: metric.real for metric in self.metrics if metric.real is not None}

    @property
    def is_classifier_reliable(self) -> bool:
        """Whether the classifier is accurate enough for a card, or not used."""
        return self.classifier_accuracy is None or self.classifier_accuracy >= MIN_CLASSIFIER_ACCURACY

    def classes(self) -> tuple[ClassCount, ...]:
        """Return the frequencies of each class; an empty tuple if the labels were not measured."""
        if "labels" not in self.families:
            return ()
        train, requested, recognized = self.sample.real.train, self.sample.labels, self.sample.features.labels
        assert train.classes is not None
        assert train.labels is not None
        data, generated = (histogram(labels, len(train.classes)) for labels in (train.labels, recognized))
        return tuple(
            ClassCount(
                name,
                float(data[label] / data.sum()),
                float(generated[label] / generated.sum()),
                None
                if requested is None or not (requested == label).any()
                else float((recognized[requested == label] == label).mean()),
            )
            for label, name in enumerate(train.classes)
        )


def evaluate_generator(
    card: Card,
    images: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
    real: RealData,
    names: Sequence[ImageMetric] | None,
    samples: int | None,
    on_task: Callable[[str], None],
) -> Evaluation:
    """Measure a generator of images.

    Args:
        card: The generator's card.
        images: Maps int64[n] seeds to uint8[n, height, width, channels].
        real: The real data to compare with.
        names: The families to measure; None measures all that apply.
        samples: Number of images; None uses the default of each family.
        on_task: Called with the name of each task before the task starts.

    Raises:
        UserError: The generator's images and the data differ in shape, or a family in `names` does not apply.
    """
    _check_shape(card, real)
    skipped = _inapplicable(card, real, names)
    measured = [name for name in names or FAMILIES if name not in skipped]
    uses_classifier = any(FAMILIES[name].uses_classifier for name in measured)
    accuracy = real.feature_extractor.accuracy if uses_classifier else None
    counts = {name: num_samples(name, samples, real) for name in measured}
    on_task("generate")
    sample = sample_seeds(images, card.label_rule(), max(counts.values(), default=0), real)
    families: dict[ImageMetric, tuple[Metric, ...]] = {}
    for name, count in counts.items():
        on_task(name)
        metrics = measure(name, sample, count)
        on_task(f"{name} of real images")
        families[name] = with_intervals(metrics, _real_draws(name, sample, count))
    return Evaluation(families, skipped, sample, accuracy)


def _check_shape(card: Card, real: RealData) -> None:
    channels, height, width = real.shape
    if card.output.shape != (height, width, channels):
        message = f"the images of {card.name} have shape {card.output.shape}, but {real.name} has {(height, width, channels)}"
        raise UserError(message, field="data", reason="shape_mismatch")


def _inapplicable(card: Card, real: RealData, names: Sequence[ImageMetric] | None) -> dict[ImageMetric, str]:
    """Return why families do not apply. If `names` requests such a family, raise UserError."""
    reasons = {name: inapplicable_reason(name, real, card.classes) for name in names or FAMILIES}
    skipped = {name: reason for name, reason in reasons.items() if reason is not None}
    if names is not None and skipped:
        message = "; ".join(f"{name} does not apply: {reason}" for name, reason in skipped.items())
        raise UserError(message, field="metrics", reason="metric_does_not_apply")
    return skipped


def _real_draws(name: ImageMetric, sample: ImageSample, n: int) -> list[tuple[Metric, ...]]:
    """Return the metrics of real images in place of n generated images, once for each real-against-real draw."""
    real, reference = sample.real, sample.real.reference
    draws = FAMILIES[name].num_draws
    if FAMILIES[name].draws == "control":
        distances, cells = real.control_images[1], real.control_cells
        m = len(distances)
        orders = zip(resamples(m, n, draws), resamples(m, m, draws, stream=1), strict=True)
        return [copying_metrics(real, distances[a], cells[a], distances[b], cells[b]) for a, b in orders]
    if FAMILIES[name].draws == "reference":
        labels = reference.labels if sample.labels is not None else None
        drawn = [(rows, None if labels is None else labels[rows]) for rows in resamples(len(reference), n, draws)]
        return [measure(name, ImageSample(real.reference_set.take(rows), requested, real), n) for rows, requested in drawn]
    both = joined(real.pool(n), real.reference_set)
    return [
        measure(name, ImageSample(both.take(rows[:n]), None, real, both.take(rows[n:])), n)
        for rows in random_orders(len(both), draws)
    ]


def card_with_metrics(card: Card, evaluation: Evaluation, neighbours: Neighbours | None = None) -> Card:
    """Return the card with the evaluation's metrics, which replace earlier metrics of the same families.

    Args:
        card: The generator's card.
        evaluation: The generator's evaluation.
        neighbours: The nearest training images; None keeps those of the card.
    """
    replaced = tuple(prefix for name in evaluation.families for prefix in FAMILIES[name].prefixes)
    kept = [
        metric
        for metric in card.evaluation
        if not any(metric.metric == prefix or metric.metric.startswith(f"{prefix}-") for prefix in replaced)
    ]
    return card.model_copy(update={"evaluation": (*kept, *evaluation.metrics), "neighbours": neighbours or card.neighbours})

"""Measuring a set of generated images: which metrics there are, when each applies, and the protocol of each.

`measure` serves both `seedmint evaluate` and runs that measure as they go; the mathematics is in `metrics/`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Metric
from seedmint.models.noise import labels_of
from seedmint.training.evaluation.classifier import SIDES, Seen
from seedmint.training.evaluation.metrics import modes as stacked
from seedmint.training.evaluation.metrics import prdc as neighbours
from seedmint.training.evaluation.metrics.frechet import frechet
from seedmint.training.evaluation.metrics.kid import kid
from seedmint.training.evaluation.metrics.labels import histogram, kl_divergence, label_accuracy
from seedmint.training.evaluation.metrics.nearest import Nearest, copying, nearest
from seedmint.training.evaluation.metrics.parzen import SIGMAS, parzen
from seedmint.training.evaluation.reference_data import CONTROLS, RealData
from seedmint.training.recipes.schema import MetricName

SAMPLES = 10_000

_FEWEST = 10  # images, generated or real


class Sample:
    """Images to be measured. What takes long is found out when first asked for, and kept.

    Args:
        images: uint8[n, channels, height, width].
        asked: int64[n], the label that each was asked for; None of generators without labels.
        real: what they are held against.
    """

    def __init__(self, images: NDArray[np.uint8], asked: NDArray[np.int64] | None, real: RealData) -> None:
        self.images, self.asked, self.real = images, asked, real

    @cached_property
    def seen(self) -> Seen:
        """What the judge sees in them."""
        return self.real.judge.see(self.images)

    def nearest(self, n: int) -> Nearest:
        """The training image nearest to each of the first n."""
        if self._nearest is None or len(self._nearest.rows) != n:
            self._nearest = nearest(self.images[:n], self.real.train.images)
        return self._nearest

    _nearest: Nearest | None = None


def sample_of(images: Callable[[NDArray[np.int64]], NDArray[np.uint8]], classes: int, n: int, real: RealData) -> Sample:
    """The images of seeds 0 to n - 1, each with its own label, as the service returns them.

    Args:
        images: uint8[n, height, width, channels] of int64[n] seeds.
        classes: number of the generator's classes, 0 without labels.
        n: how many.
        real: what they will be held against.
    """
    seeds = np.arange(n, dtype=np.int64)
    asked = labels_of(seeds, classes) if classes else None
    return Sample(np.ascontiguousarray(images(seeds).transpose(0, 3, 1, 2)), asked, real)


@dataclass(frozen=True)
class Family:
    """A metric, or some that are measured together.

    Attributes:
        samples: how many generated images, unless told otherwise.
        reading: how to read the figures, in a line.
        judged: whether they depend on the judge.
        measure: the metrics of the first n images.
        entries: what the metrics' names begin with.
    """

    samples: int
    reading: str
    judged: bool
    measure: Callable[[Sample, int], tuple[Metric, ...]]
    entries: tuple[str, ...]


def measure(name: MetricName, sample: Sample, n: int) -> tuple[Metric, ...]:
    """The metrics of one family, of the first n images of a sample; see `why_not` for when it applies.

    Raises:
        DataError: the data have no labels to judge by.
    """
    return FAMILIES[name].measure(sample, n)


def samples_of(name: MetricName, samples: int | None) -> int:
    """How many generated images a family measures, when `samples` are asked for, or None."""
    return FAMILIES[name].samples if samples is None else samples


def why_not(name: MetricName, real: RealData, classes: tuple[str, ...] | None) -> str | None:
    """Why a family does not apply, or None where it does.

    Args:
        name: the family.
        real: the data to measure against.
        classes: the generator's, None without labels.
    """
    if len(real.train.images) < _FEWEST:
        return f"{real.name} has fewer than {_FEWEST} images"
    if name == "modes" and not real.stacked:
        return "it counts the modes of stacked-mnist alone"
    if FAMILIES[name].judged:
        if real.train.labels is None or real.train.classes is None:
            return f"it needs a classifier, and {real.name} has no labels to learn one from"
        if not SIDES[0] <= min(real.shape[1:]) <= max(real.shape[1:]) <= SIDES[1]:
            return f"its classifier is for images of {SIDES[0]} to {SIDES[1]} pixels a side"
        if name == "labels" and classes is not None and classes != real.train.classes:
            return f"the generator's classes are not those of {real.name}"
        if name == "labels" and not histogram(real.train.labels, len(real.train.classes)).all():
            return f"{real.name} has a class without images"
    return None


def _seeds(n: int) -> str:
    return f"seeds 0-{n - 1}"


def _features(sample: Sample) -> str:
    judge, d = sample.real.judge, sample.real.seen.features.shape[1]
    return f"{d} features of {judge.name} (weights {judge.digest[:8]})"


def _parzen(sample: Sample, n: int) -> tuple[Metric, ...]:
    valid, test, told = sample.real.parzen_parts
    found = parzen(*(images.reshape(len(images), -1) / 255 for images in (sample.images[:n], valid, test)))
    protocol = (
        f"nats; windows around {_seeds(n)}, pixels in [0, 1]; sigma {found.sigma:.4f} of logspace(-1, 0, {len(SIGMAS)}) {told}"
    )
    return (_metric("parzen-log-likelihood", protocol, found.mean, n, found.standard_error),)


def _frechet(sample: Sample, n: int) -> tuple[Metric, ...]:
    value = frechet(sample.seen.features[:n], sample.real.seen.features)
    protocol = f"{_seeds(n)} against {sample.real.reference_text}; {_features(sample)}"
    return (_metric(f"frechet-{sample.real.judge.name}", protocol, value, n),)


def _kid(sample: Sample, n: int) -> tuple[Metric, ...]:
    found = kid(sample.seen.features[:n], sample.real.seen.features)
    protocol = f"{_seeds(n)} against {sample.real.reference_text}; kernel (x.y / d + 1)^3, all pairs; {_features(sample)}"
    return (_metric(f"kid-{sample.real.judge.name}", protocol, found.value, n, found.standard_error),)


def _prdc(sample: Sample, n: int) -> tuple[Metric, ...]:
    found = neighbours.prdc(sample.real.seen.features, sample.seen.features[:n])
    protocol = f"{_seeds(n)} against {sample.real.reference_text}; k = {neighbours.K}; {_features(sample)}"
    figures = {"precision": found.precision, "recall": found.recall, "density": found.density, "coverage": found.coverage}
    return tuple(_metric(f"{key}-{sample.real.judge.name}", protocol, value, n) for key, value in figures.items())


def _labels(sample: Sample, n: int) -> tuple[Metric, ...]:
    real, judge, seen = sample.real, sample.real.judge, sample.seen.labels[:n]
    assert real.train.labels is not None
    assert real.train.classes is not None
    classes = len(real.train.classes)
    seer = f"seen by {judge.name} (weights {judge.digest[:8]}), which is right on {judge.accuracy:.2%} of real images"
    kl = kl_divergence(histogram(seen, classes), histogram(real.train.labels, classes))
    metrics = (
        _metric(f"class-kl-{judge.name}", f"nats; labels of {_seeds(n)} {seer}, from the labels of {real.train.name}", kl, n),
    )
    if sample.asked is None:
        return metrics
    share, error = label_accuracy(seen, sample.asked[:n])
    protocol = f"{_seeds(n)}, each with its own label, {seer}"
    return _metric(f"label-accuracy-{judge.name}", protocol, share, n, error), *metrics


def _modes(sample: Sample, n: int) -> tuple[Metric, ...]:
    real, judge = sample.real, sample.real.judge
    assert real.train.labels is not None
    found = stacked.modes(sample.seen.labels[:n], real.train.labels)
    seer = f"{_seeds(n)}, the three digits seen by {judge.name} (weights {judge.digest[:8]})"
    return (
        _metric(f"modes-{judge.name}", f"of {stacked.MODES}; {seer}", found.hit, n),
        _metric(f"mode-kl-{judge.name}", f"nats; {seer}, from the labels of {real.train.name}", found.kl, n),
    )


def _nearest(sample: Sample, n: int) -> tuple[Metric, ...]:
    distances, told = sample.real.control
    value, error = copying(sample.nearest(n).distances, distances)
    protocol = (
        f"chance that one of {_seeds(n)} is nearer to its nearest training image ({sample.real.train.name}, "
        f"{len(sample.real.train.images):,} images) than a real image is ({told}); L2 of pixels"
    )
    return (_metric("copying", protocol, value, n, error),)


def _metric(name: str, protocol: str, value: float, samples: int, standard_error: float | None = None) -> Metric:
    return Metric(metric=name, protocol=protocol, value=value, samples=samples, standard_error=standard_error)


FAMILIES: dict[MetricName, Family] = {
    "parzen": Family(
        SAMPLES,
        "the paper's measure; higher is better, but a poor guide to quality (Theis et al., 2016)",
        False,
        _parzen,
        ("parzen-log-likelihood",),
    ),
    "frechet": Family(SAMPLES, "distance of the features as Gaussians; lower is better", True, _frechet, ("frechet",)),
    "kid": Family(SAMPLES, "distance of the features' distributions, unbiased; lower is better, 0 best", True, _kid, ("kid",)),
    "prdc": Family(
        SAMPLES,
        "precision and density: do they look real; recall and coverage: are all kinds there; higher is better",
        True,
        _prdc,
        ("precision", "recall", "density", "coverage"),
    ),
    "labels": Family(
        SAMPLES,
        "are they what was asked for, and the classes as frequent as in the data: KL 0",
        True,
        _labels,
        ("label-accuracy", "class-kl"),
    ),
    "modes": Family(stacked.SAMPLES, "how many of 1,000 occur, and how evenly: KL 0", True, _modes, ("modes", "mode-kl")),
    "nearest": Family(
        CONTROLS, "0.5: no nearer to the training images than real ones; 1: copies", False, _nearest, ("copying",)
    ),
}

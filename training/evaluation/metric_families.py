"""The metric families of images: when each applies, its protocol, and its metrics.

`seedmint evaluate` and the metrics of a run both use `measure`. The mathematics is in `metrics/`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seedmint.models.provenance import Metric
from seedmint.training.datasets.draw import NAME as DRAW
from seedmint.training.evaluation.classifier import MAX_SIDE, MIN_SIDE
from seedmint.training.evaluation.image_sample import ImageSample
from seedmint.training.evaluation.metrics import modes as stacked_modes
from seedmint.training.evaluation.metrics import prdc as neighbors
from seedmint.training.evaluation.metrics.cells import coarse_pixels, copying_by_cell, near_share
from seedmint.training.evaluation.metrics.frechet import frechet
from seedmint.training.evaluation.metrics.kid import kid
from seedmint.training.evaluation.metrics.labels import histogram, kl_divergence, label_accuracy
from seedmint.training.evaluation.metrics.nearest import copying
from seedmint.training.evaluation.metrics.parzen import SIGMAS, parzen
from seedmint.training.evaluation.metrics.patches import NUM_DIRECTIONS, PATCH, num_scales, patch_distances
from seedmint.training.evaluation.metrics.spectrum import radial_spectrum, spectrum_difference
from seedmint.training.evaluation.random_features import NAME as RANDOM_FEATURES
from seedmint.training.evaluation.real_draws import CHEAP_DRAWS, COSTLY_DRAWS
from seedmint.training.evaluation.reference_data import NUM_CONTROLS, RealData
from seedmint.training.recipes.schema import ImageMetric

DEFAULT_SAMPLES = 10_000
"""Number of generated images of most families."""

_MIN_IMAGES = 10
_MIN_PART = 3
_MIN_RANDOM_SIDE = 8


@dataclass(frozen=True)
class Family:
    """One metric, or several metrics that are measured together.

    Attributes:
        samples: Default number of generated images.
        interpretation: How to read the values, in one line.
        uses_classifier: Whether the metrics depend on the classifier.
        measure: Returns the metrics of the first n images.
        draws: How real-against-real draws are made: "exchange" divides the pool and the reference anew; "reference" draws
            from the reference with replacement; "control" draws from the distances of the control.
        num_draws: Number of real-against-real draws.
        prefixes: Prefixes of the metrics' names.
    """

    samples: int
    interpretation: str
    uses_classifier: bool
    measure: Callable[[ImageSample, int], tuple[Metric, ...]]
    prefixes: tuple[str, ...]
    draws: Literal["exchange", "reference", "control"] = "exchange"
    num_draws: int = CHEAP_DRAWS


def measure(name: ImageMetric, sample: ImageSample, n: int) -> tuple[Metric, ...]:
    """Return the metrics of one family.

    Args:
        name: The family; it must apply, see `inapplicable_reason`.
        sample: Generated images.
        n: Number of images to measure, from the first.

    Raises:
        DataError: The classifier needs labels, and the data have none.
    """
    return FAMILIES[name].measure(sample, n)


def num_samples(name: ImageMetric, samples: int | None, real: RealData) -> int:
    """Return the number of generated images that a family measures.

    Args:
        name: The family.
        samples: The user's number; None for the default.
        real: The data to compare with. Families that depend on the number of images measure at most as many generated images as
            there are real images for the real-against-real draws.
    """
    family = FAMILIES[name]
    wanted = family.samples if samples is None else samples
    return wanted if family.draws == "control" else min(wanted, real.num_pool)


def inapplicable_reason(name: ImageMetric, real: RealData, classes: tuple[str, ...] | None) -> str | None:
    """Return why a family does not apply, or None if it applies.

    Args:
        name: The family.
        real: The data to compare with.
        classes: The generator's classes; None without labels.
    """
    if len(real.train) < _MIN_IMAGES or min(real.num_pool, len(real.reference)) < _MIN_PART:
        return f"{real.name} has fewer than {_MIN_IMAGES} images, or fewer than {_MIN_PART} to compare with"
    if name == "prdc" and min(real.num_pool, len(real.reference)) <= neighbors.NUM_NEIGHBORS:
        return f"{real.name} has fewer than {neighbors.NUM_NEIGHBORS + 1} images to compare with"
    if name == "nearest" and not real.is_training_data:
        return f"copies are found among the training images, and {real.name} is not the data that the generator was trained on"
    if name == "patches" and not num_scales(*real.shape[1:]):
        return f"it needs images of at least {PATCH} pixels a side"
    if name == "random-features" and min(real.shape[1:]) < _MIN_RANDOM_SIDE:
        return f"it needs images of at least {_MIN_RANDOM_SIDE} pixels a side"
    if name == "modes" and not real.is_stacked:
        return "it counts the modes of stacked-mnist only"
    if FAMILIES[name].uses_classifier:
        if real.train.labels is None or real.train.classes is None:
            return f"it needs a classifier, and {real.name} has no labels to train one"
        if not MIN_SIDE <= min(real.shape[1:]) <= max(real.shape[1:]) <= MAX_SIDE:
            return f"its classifier needs images with sides of {MIN_SIDE} to {MAX_SIDE} pixels"
        if name == "labels" and classes is not None and classes != real.train.classes:
            return f"the generator's classes differ from the classes of {real.name}"
        if name == "labels" and not histogram(real.train.labels, len(real.train.classes)).all():
            return f"{real.name} has a class without images"
    return None


def _seeds(n: int) -> str:
    return f"seeds 0-{n - 1}"


# The protocols below are on published cards. A new wording would make equal protocols look different.
def _features_protocol(sample: ImageSample) -> str:
    extractor, d = sample.real.feature_extractor, sample.reference.features.vectors.shape[1]
    return f"{d} features of {extractor.name} (weights {extractor.digest[:8]})"


def _parzen(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    valid, valid_text = sample.real.parzen_splits
    parts = (sample.images[:n], valid, sample.reference.images)
    result = parzen(*(images.reshape(len(images), -1) / 255 for images in parts))
    sigma = f"sigma {result.sigma:.4f} of logspace(-1, 0, {len(SIGMAS)}) {valid_text}; mean over {sample.real.reference_text}"
    protocol = f"{DRAW}; nats; windows around {_seeds(n)}, pixels in [0, 1]; {sigma}"
    return (_metric("parzen-log-likelihood", protocol, result.mean, n, result.standard_error),)


def _frechet(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    value = frechet(sample.features.vectors[:n], sample.reference.features.vectors)
    protocol = f"{DRAW}; {_seeds(n)} against {sample.real.reference_text}; {_features_protocol(sample)}"
    return (_metric(f"frechet-{sample.real.feature_extractor.name}", protocol, value, n),)


def _kid(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    result = kid(sample.features.vectors[:n], sample.reference.features.vectors)
    against = f"{DRAW}; {_seeds(n)} against {sample.real.reference_text}"
    protocol = f"{against}; kernel (x.y / d + 1)^3, all pairs; {_features_protocol(sample)}"
    return (_metric(f"kid-{sample.real.feature_extractor.name}", protocol, result.value, n, result.standard_error),)


def _prdc(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    result = neighbors.prdc(sample.reference.features.vectors, sample.features.vectors[:n])
    protocol = (
        f"{DRAW}; {_seeds(n)} against {sample.real.reference_text}; k = {neighbors.NUM_NEIGHBORS}; {_features_protocol(sample)}"
    )
    figures = {"precision": result.precision, "recall": result.recall, "density": result.density, "coverage": result.coverage}
    return tuple(_metric(f"{key}-{sample.real.feature_extractor.name}", protocol, value, n) for key, value in figures.items())


def _labels(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    real, extractor, labels = sample.real, sample.real.feature_extractor, sample.features.labels[:n]
    assert real.train.labels is not None
    assert real.train.classes is not None
    classes = len(real.train.classes)
    protocol = (
        f"seen by {extractor.name} (weights {extractor.digest[:8]}), which is right on {extractor.accuracy:.2%} of real images"
    )
    data = histogram(real.train.labels, classes)
    kl = kl_divergence(histogram(labels, classes), data)
    equal = kl_divergence(np.ones(classes, np.int64), data)
    kl_protocol = (
        f"{DRAW}; nats; labels of {_seeds(n)} {protocol}, from the labels of {real.train.name}; "
        f"equal classes score {equal:.4f}, sampling alone {(classes - 1) / (2 * n):.4f}"
    )
    metrics = (_metric(f"class-kl-{extractor.name}", kl_protocol, kl, n),)
    if sample.labels is None:
        return metrics
    accuracy, error = label_accuracy(labels, sample.labels[:n])
    accuracy_protocol = f"{DRAW}; {_seeds(n)}, each with its own label, {protocol}"
    return _metric(f"label-accuracy-{extractor.name}", accuracy_protocol, accuracy, n, error), *metrics


def _modes(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    real, extractor = sample.real, sample.real.feature_extractor
    assert real.train.labels is not None
    result = stacked_modes.modes(sample.features.labels[:n], real.train.labels)
    protocol = f"{_seeds(n)}, the three digits seen by {extractor.name} (weights {extractor.digest[:8]})"
    return (
        _metric(f"modes-{extractor.name}", f"of {stacked_modes.NUM_MODES}; {protocol}", result.hit, n),
        _metric(f"mode-kl-{extractor.name}", f"nats; {protocol}, from the labels of {real.train.name}", result.kl, n),
    )


def _nearest(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    cell = sample.real.cells.of(coarse_pixels(sample.images[:n]))
    return copying_metrics(
        sample.real, sample.nearest(n).distances, cell, sample.real.control_images[1], sample.real.control_cells
    )


def copying_metrics(
    real: RealData,
    distances: NDArray[np.float64],
    cell: NDArray[np.int64],
    control: NDArray[np.float64],
    control_cell: NDArray[np.int64],
) -> tuple[Metric, ...]:
    """Return the metrics of the family `nearest`.

    Args:
        real: The real data.
        distances: float64[n], distances of generated images to their nearest training image.
        cell: int64[n], their cells.
        control: float64[m], distances of real images.
        control_cell: int64[m], their cells.
    """
    n = len(distances)
    value, error = copying(distances, control)
    by_cell = copying_by_cell(distances, cell, control, control_cell)
    pair = (
        f"{_seeds(n)} and their nearest training images ({real.train.name}, {len(real.train):,} images) against "
        f"{real.control_images[2]}; L2 of pixels"
    )
    cells = f"{by_cell.cells} of {len(real.cells.centers)} cells of k-means on the pixels"
    return (
        _metric("copying", f"{DRAW}; chance that a generated image is nearer than a real image; {pair}", value, n, error),
        _metric("copying-cells", f"{DRAW}; the largest z-score of {cells}; {pair}", by_cell.highest, n),
        _metric(
            "copying-near",
            f"{DRAW}; share of generated images nearer than 99% of real images; {pair}",
            near_share(distances, control),
            n,
        ),
    )


def _spectrum(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    mean, top = spectrum_difference(radial_spectrum(sample.images[:n]), radial_spectrum(sample.reference.images))
    protocol = f"{DRAW}; {_seeds(n)} against {sample.real.reference_text}; energy at each radial frequency"
    return (
        _metric("spectrum-difference", f"mean of |generated / real - 1|; {protocol}", mean, n),
        _metric("spectrum-high", f"generated / real - 1 of the upper quarter of the frequencies; {protocol}", top, n),
    )


def _patches(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    distances = patch_distances(sample.images[:n], sample.reference.images)
    protocol = (
        f"{DRAW}; {_seeds(n)} against {sample.real.reference_text}; patches of {PATCH}x{PATCH} pixels of a Laplacian pyramid, "
        f"{NUM_DIRECTIONS} directions, times 1000"
    )
    side = min(sample.real.shape[1:])
    return tuple(_metric(f"patches-{side >> scale}", protocol, value, n) for scale, value in enumerate(distances))


def _random_features(sample: ImageSample, n: int) -> tuple[Metric, ...]:
    value = frechet(sample.random_features[:n], sample.reference.random_features)
    d = sample.reference.random_features.shape[1]
    protocol = f"{DRAW}; {_seeds(n)} against {sample.real.reference_text}; {d} features, no training"
    return (_metric(f"{RANDOM_FEATURES}-frechet", protocol, value, n),)


def _metric(name: str, protocol: str, value: float, samples: int, standard_error: float | None = None) -> Metric:
    return Metric(metric=name, protocol=protocol, value=value, samples=samples, standard_error=standard_error)


FAMILIES: dict[ImageMetric, Family] = {
    "parzen": Family(
        DEFAULT_SAMPLES,
        "the paper's metric, in nats; higher is better, but it says little about image quality (Theis et al., 2016)",
        False,
        _parzen,
        ("parzen-log-likelihood",),
        num_draws=COSTLY_DRAWS,
    ),
    "frechet": Family(
        DEFAULT_SAMPLES,
        "distance between the features' means and covariances; lower is better, 0 is best",
        True,
        _frechet,
        ("frechet",),
    ),
    "kid": Family(
        DEFAULT_SAMPLES,
        "unbiased distance between the features' distributions; lower is better, 0 is best",
        True,
        _kid,
        ("kid",),
        num_draws=COSTLY_DRAWS,
    ),
    "prdc": Family(
        DEFAULT_SAMPLES,
        "precision and density measure realism; recall and coverage measure variety; higher is better",
        True,
        _prdc,
        ("precision", "recall", "density", "coverage"),
        num_draws=COSTLY_DRAWS,
    ),
    "labels": Family(
        DEFAULT_SAMPLES,
        "label accuracy: share of images with the requested label; class KL: 0 if the classes are as frequent as in the data, "
        "not if they are equally frequent",
        True,
        _labels,
        ("label-accuracy", "class-kl"),
        "reference",
    ),
    "modes": Family(
        stacked_modes.SAMPLES,
        "number of the 1,000 modes that occur; mode KL: 0 if they are as frequent as in the data",
        True,
        _modes,
        ("modes", "mode-kl"),
        "reference",
    ),
    "nearest": Family(
        NUM_CONTROLS,
        "copying 0.5, near 0.01: as near to the training images as other real images; 1: copies; cells: where most copies are",
        False,
        _nearest,
        ("copying",),
        "control",
    ),
    "spectrum": Family(
        DEFAULT_SAMPLES,
        "energy of details of each size; 0 is best; a high value above 0 means speckles, below 0 blur",
        False,
        _spectrum,
        ("spectrum-difference", "spectrum-high"),
    ),
    "patches": Family(
        DEFAULT_SAMPLES,
        "distance between small patches, from the finest scale to the coarsest; lower is better",
        False,
        _patches,
        ("patches",),
        num_draws=COSTLY_DRAWS,
    ),
    "random-features": Family(
        DEFAULT_SAMPLES,
        "Fréchet distance in features that need no labels and see fine details; lower is better, 0 is best",
        False,
        _random_features,
        (f"{RANDOM_FEATURES}-frechet",),
    ),
}

"""Measures a generator of samples against data held out from its training."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Metric
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.generated import RING_MODES, RING_STD
from seedmint.training.evaluation.metrics.correlations import correlation_difference
from seedmint.training.evaluation.metrics.marginals import kolmogorov_smirnov, wasserstein
from seedmint.training.evaluation.metrics.ring import count_modes
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.schema import SAMPLE_METRICS, SampleMetric

NUM_SAMPLES = 10_000
"""Number of generated samples, seeds from 0."""

_MAX_CORRELATED_COLUMNS = 1024

Outputs = Callable[..., NDArray[Any]]
"""Maps int64[n] seeds, and int64[n] labels or None, to float32[n, ...] samples."""

_Values = list[tuple[str, str, float]]  # name, protocol, value


def measure_samples(
    data: Data,
    held_out: Dataset,
    conditional: bool,
    outputs: Outputs,
    metrics: tuple[SampleMetric, ...] = SAMPLE_METRICS,
) -> tuple[Metric, ...]:
    """Return the metrics that apply to the data.

    Args:
        data: The source of the training data.
        held_out: The data to compare with, the second part of `load_splits`.
        conditional: Whether to request labels, in the proportions of the data.
        outputs: The generator.
        metrics: The metrics to measure.

    Raises:
        UserError: A column of the held-out data is constant.
    """
    seeds = np.arange(NUM_SAMPLES, dtype=np.int64)
    labels = held_out.labels[seeds % len(held_out)] if conditional and held_out.labels is not None else None
    generated = outputs(seeds, labels)
    # The protocols are on published cards. A new wording would make equal protocols look different.
    protocol = f"seeds 0-{NUM_SAMPLES - 1} against {held_out.name}, {len(held_out):,} samples"
    if labels is not None:
        protocol += ", with its labels"
    values: _Values = []
    if "marginals" in metrics:
        values += _marginals(generated, held_out, protocol)
    if "correlations" in metrics and 2 <= generated[0].size <= _MAX_CORRELATED_COLUMNS:
        values += _correlations(generated, held_out, protocol)
    if "ring" in metrics and data.source == "ring-2d":
        values += _ring(generated)
    return tuple(Metric(metric=name, protocol=text, value=value, samples=NUM_SAMPLES) for name, text, value in values)


def _marginals(generated: NDArray[np.float32], held_out: Dataset, protocol: str) -> _Values:
    assert held_out.names is not None
    assert held_out.scaling is not None
    names = held_out.names
    a, b = (values.reshape(-1, len(names)) for values in (generated, held_out.samples))
    pooled = "" if generated.ndim == 2 else "; all steps of the series together"
    text = f"{protocol}{pooled}; in standard deviations of these"
    distances = wasserstein(a, b) / held_out.scaling.std
    return [
        *((f"wasserstein-1 of {name}", text, float(value)) for name, value in zip(names, distances, strict=True)),
        *(
            (f"kolmogorov-smirnov of {name}", f"{protocol}{pooled}", float(value))
            for name, value in zip(names, kolmogorov_smirnov(a, b), strict=True)
        ),
    ]


def _correlations(generated: NDArray[np.float32], held_out: Dataset, protocol: str) -> _Values:
    a, b = (values.reshape(len(values), -1) for values in (generated, held_out.samples))
    columns = "columns" if generated.ndim == 2 else "steps and channels"
    return [("correlation-difference", f"{protocol}; mean over all pairs of {columns}", correlation_difference(a, b))]


def _ring(generated: NDArray[np.float32]) -> _Values:
    counts = count_modes(generated, RING_MODES, RING_STD)
    near = f"within three standard deviations, {3 * RING_STD:g}, of one of the {len(RING_MODES)} modes"
    return [
        ("modes", f"modes hit by seeds 0-{NUM_SAMPLES - 1}, {near}", float(counts.hit)),
        ("high-quality-share", f"share of seeds 0-{NUM_SAMPLES - 1} {near}", counts.quality),
    ]

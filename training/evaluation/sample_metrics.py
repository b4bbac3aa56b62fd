"""Measuring a generator of samples against data that were held out from its training."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Metric
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.generated import RING_MODES, RING_STD
from seedmint.training.evaluation.metrics.correlations import correlation_difference
from seedmint.training.evaluation.metrics.marginals import kolmogorov_smirnov, wasserstein
from seedmint.training.evaluation.metrics.ring import modes
from seedmint.training.recipes.schema import SAMPLE_METRICS, Data, SampleMetric

SAMPLES = 10_000  # generated, seeds 0 on
_MOST_COLUMNS = 1024  # whose correlations are compared

Outputs = Callable[..., NDArray[Any]]
"""Maps int64[n] seeds, and int64[n] labels or None, to float32[n, ...] samples."""


def measure_samples(
    data: Data,
    held_out: Dataset,
    conditional: bool,
    outputs: Outputs,
    wanted: tuple[SampleMetric, ...] = SAMPLE_METRICS,
) -> tuple[Metric, ...]:
    """Those of the wanted metrics that apply to the data.

    Args:
        data: what the generator was trained on.
        held_out: what it is measured against, the second part of `load_splits`.
        conditional: whether labels are asked for, in the proportions of the data.
        outputs: the generator.
        wanted: by default all.

    Raises:
        UserError: a column of the held-out data never changes.
    """
    seeds = np.arange(SAMPLES, dtype=np.int64)
    labels = held_out.labels[seeds % len(held_out)] if conditional and held_out.labels is not None else None
    made = outputs(seeds, labels)
    protocol = f"seeds 0-{SAMPLES - 1} against {held_out.name}, {len(held_out):,} samples"
    if labels is not None:
        protocol += ", with its labels"
    found: list[tuple[str, str, float]] = []
    if "marginals" in wanted:
        found += _marginals(made, held_out, protocol)
    if "correlations" in wanted and 2 <= made[0].size <= _MOST_COLUMNS:
        found += _correlations(made, held_out, protocol)
    if "ring" in wanted and data.source == "ring-2d":
        found += _ring(made)
    return tuple(Metric(metric=name, protocol=text, value=value, samples=SAMPLES) for name, text, value in found)


def _marginals(made: NDArray[np.float32], held_out: Dataset, protocol: str) -> list[tuple[str, str, float]]:
    assert held_out.names is not None
    assert held_out.scaling is not None
    names = held_out.names
    a, b = (values.reshape(-1, len(names)) for values in (made, held_out.samples))
    of = "" if made.ndim == 2 else "; all steps of the series together"
    text = f"{protocol}{of}; in standard deviations of these"
    distances = wasserstein(a, b) / held_out.scaling.std
    return [
        *((f"wasserstein-1 of {name}", text, float(value)) for name, value in zip(names, distances, strict=True)),
        *(
            (f"kolmogorov-smirnov of {name}", f"{protocol}{of}", float(value))
            for name, value in zip(names, kolmogorov_smirnov(a, b), strict=True)
        ),
    ]


def _correlations(made: NDArray[np.float32], held_out: Dataset, protocol: str) -> list[tuple[str, str, float]]:
    a, b = (values.reshape(len(values), -1) for values in (made, held_out.samples))
    of = "columns" if made.ndim == 2 else "steps and channels"
    return [("correlation-difference", f"{protocol}; mean over all pairs of {of}", correlation_difference(a, b))]


def _ring(made: NDArray[np.float32]) -> list[tuple[str, str, float]]:
    found = modes(made, RING_MODES, RING_STD)
    near = f"within three standard deviations, {3 * RING_STD:g}, of one of the {len(RING_MODES)} modes"
    return [
        ("modes", f"modes hit by seeds 0-{SAMPLES - 1}, {near}", float(found.hit)),
        ("high-quality-share", f"share of seeds 0-{SAMPLES - 1} {near}", found.quality),
    ]

"""Measures a generator of samples against data held out from its training."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.noise import LabelRule
from seedmint.models.provenance import Metric
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.dataset import DataError, TableColumns
from seedmint.training.datasets.draw import NAME as DRAW
from seedmint.training.datasets.generated import RING_MODES, RING_STD
from seedmint.training.datasets.scaling import Scaling
from seedmint.training.datasets.series_encoding import SeriesEncoding
from seedmint.training.evaluation.metrics.correlations import correlation_difference
from seedmint.training.evaluation.metrics.marginals import kolmogorov_smirnov, wasserstein
from seedmint.training.evaluation.metrics.ring import count_modes, mode_shapes
from seedmint.training.evaluation.real_draws import (
    CHEAP_DRAWS,
    COSTLY_DRAWS,
    random_group_orders,
    random_orders,
    with_intervals,
)
from seedmint.training.evaluation.sample_copies import CopyDetector
from seedmint.training.evaluation.series_metrics import measure_dynamics, measure_models, with_missing_of
from seedmint.training.evaluation.table_copies import measure_copies
from seedmint.training.evaluation.table_metrics import Rows, measure_columns, measure_pairs, measure_trees, table_rows_of
from seedmint.training.evaluation.text_metrics import measure_texts, texts_of
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.schema import SAMPLE_METRICS, SampleMetric

NUM_SAMPLES = 10_000
"""Most generated samples, seeds from 0. There are fewer if there are fewer training samples to compare with."""

_MIN_SAMPLES = 2  # of a standard error
_DISTINCT_SEEDS = 1_000_000  # of samples of one value
_MAX_CORRELATED_COLUMNS = 1024

Outputs = Callable[[NDArray[np.int64]], NDArray[Any]]
"""Maps int64[n] seeds to float32[n, ...] samples."""

_Values = list[tuple[str, str, float]]  # name, protocol, value


@dataclass(frozen=True)
class RealSamples:
    """The data to compare a generator of samples with.

    Attributes:
        data: The source of the data.
        train: The training data of the generator.
        held_out: The data held out from training.
        label_rule: Gives the generated rows of a table their labels; None without labels.
    """

    data: Data
    train: Dataset
    held_out: Dataset
    label_rule: LabelRule | None = None

    @property
    def count(self) -> int:
        """Number of generated samples, and of training samples that take their place in real-against-real draws."""
        return min(NUM_SAMPLES, len(self.train))


def measure_samples(
    real: RealSamples, outputs: Outputs, metrics: tuple[SampleMetric, ...] = SAMPLE_METRICS, with_draws: bool = True
) -> tuple[Metric, ...]:
    """Return the metrics that apply to the data.

    Args:
        real: The data to compare with.
        outputs: The generator. Seeds have their own labels.
        metrics: The metrics to measure.
        with_draws: Whether to measure also real data, for intervals and standard errors.

    Raises:
        UserError: A column of the held-out data is constant, or copies cannot be measured by so few samples.
    """
    if "records" in metrics and min(len(real.train), len(real.held_out)) < _MIN_SAMPLES:
        raise DataError(
            f"{real.train.name} has {len(real.train)} and {real.held_out.name} has {len(real.held_out)} samples: "
            f"the metrics need at least {_MIN_SAMPLES} of each; use more data",
            field="data",
            reason="too_few_samples",
        )
    if real.held_out.table is not None and real.held_out.table.is_text:
        codes = outputs(np.arange(real.count, dtype=np.int64))
        texts = texts_of(real.held_out.table.columns[0], codes, real.held_out, real.train)
        return measure_texts(texts, metrics, with_draws)
    if real.held_out.table is not None:
        return _measure_table(real, real.held_out.table, outputs, metrics, with_draws)
    n = real.count
    generated = with_missing_of(outputs(np.arange(n, dtype=np.int64)), real.held_out)
    pool_rows, reference_rows = real.train.draw_order[:n], real.held_out.draw_order
    reference = real.held_out.samples[reference_rows]
    compared = [(partial(_compare, real, metrics), CHEAP_DRAWS)]
    if "dynamics" in metrics and generated.ndim == 3:
        compared += [(partial(_compare_dynamics, real), CHEAP_DRAWS)]
        compared += [(partial(_compare_models, real), COSTLY_DRAWS)] if with_draws else []
    both = np.concatenate([real.train.samples[pool_rows], reference]) if with_draws else reference
    found: tuple[Metric, ...] = ()
    for compare, draws in compared:
        values = compare(generated, reference)
        if with_draws:
            orders = _orders(real, pool_rows, reference_rows, draws)
            values = with_intervals(values, [compare(both[order[:n]], both[order[n:]]) for order in orders])
        found += values
    if "records" in metrics:
        found += CopyDetector(real.train, real.held_out).measure(generated, with_draws)
    if "marginals" in metrics and generated[0].size == 1:
        found += (_distinct(outputs),)
    return found


def _orders(
    real: RealSamples, pool_rows: NDArray[np.int64], reference_rows: NDArray[np.int64], draws: int
) -> Iterator[NDArray[np.int64]]:
    """Return the orders of real samples in the draws. Windows of one block stay together."""
    groups = real.train.groups, real.held_out.groups
    if groups[0] is None or groups[1] is None:
        return random_orders(len(pool_rows) + len(reference_rows), draws)
    return random_group_orders(np.concatenate([groups[0][pool_rows], groups[1][reference_rows]]), draws)


def _protocol(real: RealSamples, n: int) -> str:
    # The protocols are on published cards. A new wording would make equal protocols look different.
    return f"{DRAW}; seeds 0-{n - 1} against {real.held_out.name}, {len(real.held_out):,} samples"


def _compare_dynamics(real: RealSamples, generated: NDArray[np.float32], reference: NDArray[np.float32]) -> tuple[Metric, ...]:
    names, info = real.held_out.names or (), real.held_out.series
    has_lengths = info is not None and info.has_lengths
    n = len(generated)
    values = measure_dynamics(generated, reference, names, has_lengths, _protocol(real, n))
    return tuple(Metric(metric=name, protocol=text, value=value, samples=n) for name, text, value in values)


def _compare_models(real: RealSamples, generated: NDArray[np.float32], reference: NDArray[np.float32]) -> tuple[Metric, ...]:
    n = len(generated)
    values = measure_models(generated, reference, _protocol(real, n))
    return tuple(Metric(metric=name, protocol=text, value=value, samples=n) for name, text, value in values)


def _compare(
    real: RealSamples, metrics: tuple[SampleMetric, ...], generated: NDArray[np.float32], reference: NDArray[np.float32]
) -> tuple[Metric, ...]:
    """Return the metrics that compare two sets of samples."""
    n = len(generated)
    protocol = _protocol(real, n)
    values: _Values = []
    if "marginals" in metrics:
        values += _marginals(generated, reference, real.held_out, protocol)
    is_complete = real.held_out.series is None or not real.held_out.series.is_encoded
    if "correlations" in metrics and 2 <= generated[0].size <= _MAX_CORRELATED_COLUMNS and is_complete:
        values += _correlations(generated, reference, protocol)
    if "ring" in metrics and real.data.source == "ring-2d":
        values += _ring(generated, reference, protocol)
    return tuple(Metric(metric=name, protocol=text, value=value, samples=n) for name, text, value in values)


def _measure_table(
    real: RealSamples, table: TableColumns, outputs: Outputs, metrics: tuple[SampleMetric, ...], with_draws: bool
) -> tuple[Metric, ...]:
    """Return the metrics of a table with typed columns. Detection, usefulness and copies come with the draws only."""
    n, held_out, train = real.count, real.held_out, real.train
    seeds = np.arange(n, dtype=np.int64)
    labels = None if real.label_rule is None else real.label_rule.labels(seeds)
    rows = table_rows_of(table, outputs(seeds), labels, held_out, train)
    compared = f"seeds 0-{n - 1} against {held_out.name}, {len(held_out):,} samples"
    both = np.concatenate([rows.train[:n], rows.held_out])

    def measured(values: Callable[[Rows, str], _Values], draws: int) -> tuple[Metric, ...]:
        def scores(part: Rows) -> tuple[Metric, ...]:
            return tuple(
                Metric(metric=name, protocol=text, value=value, samples=n)
                for name, text, value in values(part, f"{DRAW}; {compared}")
            )

        if not with_draws:
            return scores(rows)
        parts = (
            replace(rows, generated=both[order[:n]], held_out=both[order[n:]]) for order in random_orders(len(both), draws)
        )
        return with_intervals(scores(rows), [scores(part) for part in parts])

    found: tuple[Metric, ...] = ()
    if "marginals" in metrics:
        found += measured(measure_columns, CHEAP_DRAWS)
    if "correlations" in metrics:
        found += measured(measure_pairs, COSTLY_DRAWS) + (measured(measure_trees, COSTLY_DRAWS) if with_draws else ())
    return found + (measure_copies(rows, compared) if "records" in metrics and with_draws else ())


def _marginals(generated: NDArray[np.float32], reference: NDArray[np.float32], held_out: Dataset, protocol: str) -> _Values:
    assert held_out.names is not None
    scaling = held_out.scaling.scaling if isinstance(held_out.scaling, SeriesEncoding) else held_out.scaling
    assert isinstance(scaling, Scaling)
    names = held_out.names
    a, b = (values.reshape(-1, len(names)) for values in (generated, reference))
    pooled = "" if generated.ndim == 2 else "; all steps of the series together"
    text = f"{protocol}{pooled}; in standard deviations of these"
    columns = [tuple(part[~np.isnan(part[:, i]), i : i + 1] for part in (a, b)) for i in range(len(names))]
    distances = [float(wasserstein(*pair)[0]) / std for pair, std in zip(columns, scaling.std, strict=True)]
    return [
        *((f"wasserstein-1 of {name}", text, value) for name, value in zip(names, distances, strict=True)),
        *(
            (f"kolmogorov-smirnov of {name}", f"{protocol}{pooled}", float(kolmogorov_smirnov(*pair)[0]))
            for name, pair in zip(names, columns, strict=True)
        ),
    ]


def _correlations(generated: NDArray[np.float32], reference: NDArray[np.float32], protocol: str) -> _Values:
    a, b = (values.reshape(len(values), -1) for values in (generated, reference))
    columns = "columns" if generated.ndim == 2 else "steps and channels"
    return [("correlation-difference", f"{protocol}; mean over all pairs of {columns}", correlation_difference(a, b))]


def _ring(generated: NDArray[np.float32], reference: NDArray[np.float32], protocol: str) -> _Values:
    counts, shapes = count_modes(generated, RING_MODES, RING_STD), mode_shapes(generated, reference, RING_MODES, RING_STD)
    near = f"within three standard deviations, {3 * RING_STD:g}, of one of the {len(RING_MODES)} modes"
    seeds = f"{DRAW}; seeds 0-{len(generated) - 1}"
    in_mode = f"{protocol}; samples {near}"
    return [
        ("modes", f"{seeds}; modes hit {near}", float(counts.hit)),
        ("high-quality-share", f"{seeds}; share {near}", counts.quality),
        ("mode-width-smallest", f"{in_mode}; standard deviation over that of the data", float(shapes.width.min())),
        ("mode-width-largest", f"{in_mode}; standard deviation over that of the data", float(shapes.width.max())),
        ("mode-offset-largest", f"{in_mode}; between the means, in standard deviations", float(shapes.offset.max())),
        ("mode-share-smallest", in_mode, float(shapes.share.min())),
        ("mode-share-largest", in_mode, float(shapes.share.max())),
        ("mode-ks-largest", f"{in_mode}; Kolmogorov-Smirnov distance of a coordinate", float(shapes.distance.max())),
    ]


def _distinct(outputs: Outputs) -> Metric:
    """Count the values of a million seeds: z has 16 bits for each number, and samples are rounded."""
    values = outputs(np.arange(_DISTINCT_SEEDS, dtype=np.int64))
    protocol = f"number of different values of seeds 0-{_DISTINCT_SEEDS - 1}"
    return Metric(metric="distinct-values", protocol=protocol, value=float(len(np.unique(values))), samples=_DISTINCT_SEEDS)

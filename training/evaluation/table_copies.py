"""Copies among the rows of a table: equal rows, and rows that are too near to a training row."""

import numpy as np
from numpy.typing import NDArray

from seedmint.models.provenance import Metric
from seedmint.training.datasets.draw import NAME as DRAW
from seedmint.training.evaluation.metrics.cells import MAX_POINTS, cells_of
from seedmint.training.evaluation.metrics.table_privacy import closest_records, gower_coordinates, is_copied
from seedmint.training.evaluation.real_draws import CHEAP_DRAWS, COSTLY_DRAWS, random_orders, resamples, with_intervals
from seedmint.training.evaluation.sample_copies import Nearness, copy_metrics
from seedmint.training.evaluation.table_metrics import MAX_ROWS, Rows


def measure_copies(rows: Rows, compared: str) -> tuple[Metric, ...]:
    """Return the metrics of copies with their intervals. Copies are looked for among all training rows.

    Args:
        rows: The rows.
        compared: The compared seeds and data.
    """
    generated, held_out = rows.generated[:MAX_ROWS], rows.held_out[:MAX_ROWS]
    text = f"{compared}; at most the first {MAX_ROWS:,} of each"
    all_rows = f"{text}, but all {len(rows.train):,} training rows"
    found = _nearness_metrics(rows, generated, held_out, f"{all_rows}; Gower distance to the closest training row")
    copied = is_copied(held_out, rows.train)
    values = [copied[order].mean() for order in resamples(len(held_out), len(generated), CHEAP_DRAWS)]
    name, protocol = "exact-copies", f"{DRAW}; {all_rows}; share of rows that are equal to a training row"
    share = float(is_copied(generated, rows.train).mean())
    return (*found, *_with_draws(name, protocol, share, values, len(generated)), *_nearer_to_training(rows, text))


def _nearness_metrics(
    rows: Rows, generated: NDArray[np.float32], held_out: NDArray[np.float32], pair: str
) -> tuple[Metric, ...]:
    points = gower_coordinates(rows.columns, rows.train[:MAX_POINTS], rows.train)
    cells = cells_of(points, np.arange(len(points)), len(held_out))
    fake, real = (
        Nearness(closest_records(rows.columns, part, rows.train), cells.of(gower_coordinates(rows.columns, part, rows.train)))
        for part in (generated, held_out)
    )
    medians = [float(np.median(real.distances[order])) for order in resamples(len(held_out), len(generated), CHEAP_DRAWS)]
    median = float(np.median(fake.distances))
    return (
        *copy_metrics(fake, real, pair, len(cells.centers), with_draws=True),
        *_with_draws("closest-record median", f"{DRAW}; {pair}", median, medians, len(generated)),
    )


def _nearer_to_training(rows: Rows, text: str) -> tuple[Metric, ...]:
    """Return the share of generated rows that are nearer to training rows than to as many held-out rows."""

    def share(made: NDArray[np.float32], train: NDArray[np.float32], held_out: NDArray[np.float32]) -> float:
        near, far = (closest_records(rows.columns, made, part, rows.train) for part in (train, held_out))
        return float((near < far).mean() + (near == far).mean() / 2)

    size = min(len(rows.train), len(rows.held_out), MAX_ROWS)
    generated, train, held_out = rows.generated[:MAX_ROWS], rows.train[:size], rows.held_out[:size]
    both = np.concatenate([rows.train, rows.held_out])
    part = min(size, len(both) // 3)
    n = min(len(generated), len(both) - 2 * part)
    draws = [
        share(both[order[:n]], both[order[n : n + part]], both[order[n + part : n + 2 * part]])
        for order in random_orders(len(both), COSTLY_DRAWS)
    ]
    protocol = f"{DRAW}; {text}; share of generated rows nearer to training than to as many held-out rows"
    return _with_draws("nearer-to-training", protocol, share(generated, train, held_out), draws, len(generated))


def _with_draws(name: str, protocol: str, value: float, draws: list[float], n: int) -> tuple[Metric, ...]:
    found, *real = (Metric(metric=name, protocol=protocol, value=float(each), samples=n) for each in (value, *draws))
    return with_intervals((found,), [(each,) for each in real])

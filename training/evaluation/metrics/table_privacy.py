"""Looks for rows of the training data among generated rows."""

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from seedmint.models.columns import NULL, Column
from seedmint.training.evaluation.metrics.table_columns import is_discrete


def closest_records(
    columns: tuple[Column, ...],
    rows: NDArray[np.float32],
    table: NDArray[np.float32],
    units: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """Return the Gower distance of each row to the closest row of a table, float64[n].

    The distance is the mean over the columns: of numbers, the difference divided by their range; of others, 1 for different
    values. A missing value has the distance 1 to a known value within the range.

    Args:
        columns: The columns.
        rows: float32[n, d], codes.
        table: float32[m, d], codes.
        units: float32[k, d], rows that give the ranges; None for the table. Distances to several tables need the same units.
    """
    units = table if units is None else units
    points, reference = (gower_coordinates(columns, part, units) for part in (rows, table))
    search = NearestNeighbors(n_neighbors=1, metric="manhattan", algorithm="brute").fit(reference)
    distances: NDArray[np.float64] = search.kneighbors(points)[0][:, 0] / len(columns)
    return distances


def gower_coordinates(
    columns: tuple[Column, ...], rows: NDArray[np.float32], units: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return float32[n, k]: the sum of the absolute differences of two rows is their distance times the number of columns.

    Args:
        columns: The columns.
        rows: float32[n, d], codes.
        units: float32[k, d], rows that give the ranges.
    """
    parts = [_coordinates(column, rows[:, i], units[:, i]) for i, column in enumerate(columns)]
    return np.concatenate(parts, axis=1)


def is_copied(rows: NDArray[np.float32], train: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether each row is equal to a training row, bool[n].

    Args:
        rows: float32[n, d], codes.
        train: float32[m, d], codes.
    """
    known = {row.tobytes() for row in np.ascontiguousarray(train)}
    return np.array([row.tobytes() in known for row in np.ascontiguousarray(rows)], dtype=np.bool_)


def _coordinates(column: Column, codes: NDArray[np.float32], units: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return coordinates whose sum of absolute differences is the distance."""
    if is_discrete(column):
        one_hot: NDArray[np.float32] = (codes[:, None] == np.arange(NULL, column.count)).astype(np.float32) / 2
        return one_hot
    known = units[units != NULL]
    low, span = (float(known.min()), float(np.ptp(known)) or 1.0) if len(known) else (0.0, 1.0)
    share = (codes.astype(np.float64) - low) / span
    if not column.nullable:
        return share[:, None].astype(np.float32)
    # A value from 0 to 1 is (share / 2, (1 - share) / 2, 0), and a null is (0, 0, 1/2): so their distance is 1.
    is_null = (codes == NULL)[:, None]
    return np.where(is_null, (0, 0, 0.5), np.stack([share / 2, (1 - share) / 2, 0 * share], axis=1)).astype(np.float32)

"""Compares pairs of columns of two tables, from their codes."""

import itertools

import numpy as np
from numpy.typing import NDArray

from seedmint.models.columns import NULL, Column
from seedmint.training.evaluation.metrics.table_columns import is_discrete, total_variation

_BINS = 10
_MAX_COLUMNS = 100  # pairs of the first columns


def correlation_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the mean of |r_a - r_b| over all pairs of the first 100 columns, from rows where both values are known.

    Args:
        a: float32[n, d], codes.
        b: float32[m, d], codes.

    Returns:
        0 to 2. r is Pearson's correlation, and 0 if a column is constant.
    """
    pairs = list(itertools.combinations(range(min(a.shape[1], _MAX_COLUMNS)), 2))
    return float(np.mean([abs(_correlation(a[:, i], a[:, j]) - _correlation(b[:, i], b[:, j])) for i, j in pairs]))


def contingency_difference(columns: tuple[Column, ...], a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the mean total variation of the joint distributions of all pairs of the first 100 columns.

    Args:
        columns: The columns.
        a: float32[n, d], codes.
        b: float32[m, d], codes of the data, whose quantiles are the limits of ten bins of numbers.

    Returns:
        0 to 1.
    """
    binned = [_bins(column, a[:, i], b[:, i]) for i, column in enumerate(columns[:_MAX_COLUMNS])]
    differences = []
    for (a_i, b_i), (a_j, b_j) in itertools.combinations(binned, 2):
        size = int(max(a_j.max(), b_j.max())) + 2
        differences.append(total_variation(a_i * size + a_j, b_i * size + b_j))
    return float(np.mean(differences))


def _correlation(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    known = (x != NULL) & (y != NULL)
    u, v = (part[known].astype(np.float64) for part in (x, y))
    if not len(u):
        return 0.0
    u, v = u - u.mean(), v - v.mean()
    norm = float(np.sqrt((u**2).sum() * (v**2).sum()))
    return float((u * v).sum()) / norm if norm else 0.0


def _bins(column: Column, a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the bins, from 0, where 0 are missing values."""
    if is_discrete(column):
        return a.astype(np.int64) + 1, b.astype(np.int64) + 1
    known = b[b != NULL]
    limits = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.zeros(0)
    binned = [np.where(part == NULL, 0, np.searchsorted(limits, part, side="right") + 1) for part in (a, b)]
    return binned[0], binned[1]

"""Distances between the values of one column of two tables, from their codes (`seedmint.models.columns`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.columns import NULL, Column
from seedmint.training.evaluation.metrics.marginals import kolmogorov_smirnov

_MIN_SHARE = 0.01  # of the data: rarer values can be missing by chance among a thousand rows


def total_variation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return half of the sum of |p_a - p_b| over all values: 0 for equal distributions, 1 for those without common values.

    Args:
        a: [n].
        b: [m].
    """
    values, inverse = np.unique(np.concatenate([a, b]), return_inverse=True)
    shares = [np.bincount(part, minlength=len(values)) / len(part) for part in (inverse[: len(a)], inverse[len(a) :])]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def is_discrete(column: Column) -> bool:
    """Return whether the distance of a column is the total variation, as of categories and booleans.

    Args:
        column: The column.
    """
    return column.first is None


def column_distance(column: Column, a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the distance of a column's distributions, 0 to 1.

    Text and booleans: the total variation, where a missing value is a category. Others: the larger one of the
    Kolmogorov-Smirnov distance of the known values and the difference of the shares of missing values.

    Args:
        column: The column.
        a: float32[n], codes.
        b: float32[m], codes.
    """
    if is_discrete(column):
        return total_variation(a, b)
    missing = abs(float((a == NULL).mean()) - float((b == NULL).mean()))
    known_a, known_b = a[a != NULL], b[b != NULL]
    if not len(known_a) or not len(known_b):
        return 1.0 if len(known_a) or len(known_b) else missing
    return max(missing, float(kolmogorov_smirnov(known_a[:, None], known_b[:, None])[0]))


def absent_share(column: Column, generated: NDArray[np.float32], data: NDArray[np.float32]) -> float:
    """Return the largest share in the data, at least 1%, of a category or of nulls that do not occur in generated rows.

    Args:
        column: The column.
        generated: float32[n], codes.
        data: float32[m], codes.

    Returns:
        The share; 0 if all occur.
    """
    values, counts = np.unique(data, return_counts=True)
    if not is_discrete(column):
        values, counts = values[values == NULL], counts[values == NULL]
    shares = counts[~np.isin(values, generated)] / len(data)
    shares = shares[shares >= _MIN_SHARE]
    return float(shares.max()) if len(shares) else 0.0

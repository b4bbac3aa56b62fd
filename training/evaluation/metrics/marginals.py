"""Distances between the marginal distributions of two samples: Wasserstein-1 and Kolmogorov-Smirnov, for each column."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]


def wasserstein(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Return the Wasserstein-1 distance of each column: the integral of |F_a - F_b| over the distribution functions.

    Args:
        a: float[n, d].
        b: float[m, d].

    Returns:
        float64[d], in the units of the columns.
    """
    return np.array([float(np.sum(gaps[:-1] * np.diff(x))) for x, gaps in _gaps(a, b)])


def kolmogorov_smirnov(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Return the Kolmogorov-Smirnov distance of each column: the largest |F_a - F_b| of the distribution functions.

    Args:
        a: float[n, d].
        b: float[m, d].

    Returns:
        float64[d], 0 to 1.
    """
    return np.array([float(gaps.max()) for _, gaps in _gaps(a, b)])


def _gaps(a: Floats, b: Floats) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return for each column all values, sorted, and |F_a - F_b| from each value to the next."""
    columns = []
    for column_a, column_b in zip(
        np.sort(a.astype(np.float64), axis=0).T, np.sort(b.astype(np.float64), axis=0).T, strict=True
    ):
        x = np.sort(np.concatenate([column_a, column_b]))
        below_a, below_b = (np.searchsorted(column, x, side="right") / len(column) for column in (column_a, column_b))
        columns.append((x, np.abs(below_a - below_b)))
    return columns

"""Distances between the distribution functions of two samples, column by column: Wasserstein-1 and Kolmogorov-Smirnov."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]


def wasserstein(a: Floats, b: Floats) -> NDArray[np.float64]:
    """The integral of |F_a - F_b| for each column of float[n, d] and float[m, d]; float64[d], in the columns' units."""
    return np.array([float(np.sum(gaps[:-1] * np.diff(x))) for x, gaps in _gaps(a, b)])


def kolmogorov_smirnov(a: Floats, b: Floats) -> NDArray[np.float64]:
    """The largest |F_a - F_b| for each column of float[n, d] and float[m, d]; float64[d], 0 to 1."""
    return np.array([float(gaps.max()) for _, gaps in _gaps(a, b)])


def _gaps(a: Floats, b: Floats) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each column all values in order, and |F_a - F_b| there; both are constant up to the next value."""
    found = []
    for column_a, column_b in zip(
        np.sort(a.astype(np.float64), axis=0).T, np.sort(b.astype(np.float64), axis=0).T, strict=True
    ):
        x = np.sort(np.concatenate([column_a, column_b]))
        below_a, below_b = (np.searchsorted(column, x, side="right") / len(column) for column in (column_a, column_b))
        found.append((x, np.abs(below_a - below_b)))
    return found

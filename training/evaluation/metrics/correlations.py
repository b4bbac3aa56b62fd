"""Compares the correlations between columns of two samples."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]


def correlation_difference(a: Floats, b: Floats) -> float:
    """Return the mean of |r_a - r_b| over all pairs of columns.

    Args:
        a: float[n, d], d at least 2.
        b: float[m, d].

    Returns:
        0 to 2. r is Pearson's correlation, and 0 if a column is constant.
    """
    pairs = np.triu_indices(a.shape[1], 1)
    return float(np.abs(_correlations(a) - _correlations(b))[pairs].mean())


def _correlations(x: Floats) -> NDArray[np.float64]:
    centered = x.astype(np.float64)
    centered -= centered.mean(axis=0)
    norms = np.sqrt((centered**2).sum(axis=0))
    centered /= np.where(norms > 0, norms, 1.0)
    correlations: NDArray[np.float64] = centered.T @ centered
    return correlations

"""How far columns depend on each other as the data's do, as far as correlation tells."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]


def correlation_difference(a: Floats, b: Floats) -> float:
    """The mean of |r_a - r_b| over all pairs of columns, 0 to 2; r is Pearson's, and 0 where a column never changes.

    Args:
        a, b: float[n, d] and float[m, d], d at least 2.
    """
    pairs = np.triu_indices(a.shape[1], 1)
    return float(np.abs(_correlations(a) - _correlations(b))[pairs].mean())


def _correlations(x: Floats) -> NDArray[np.float64]:
    centred = x.astype(np.float64)
    centred -= centred.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    centred /= np.where(norms > 0, norms, 1.0)
    found: NDArray[np.float64] = centred.T @ centred
    return found

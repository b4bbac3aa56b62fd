"""The Fréchet distance between two sets of features, modeled as Gaussians (Heusel et al., 2017; Dowson & Landau, 1982).

The distance is |mu_a - mu_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2)) with the unbiased covariances S. The last trace is
the sum of the singular values of R_a R_b^T, where R is the triangular factor of the centered features (S = R^T R). This form
needs no covariance matrix and no matrix square root, and works with fewer examples than features and with constant features.
The distance is biased upward for small sets. Compare only distances of sets of equal sizes.
"""

import numpy as np
from numpy.typing import NDArray


def frechet(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the squared distance, computed in float64.

    Args:
        a: float[n, d] features, n at least 2.
        b: float[m, d] features, m at least 2.

    Returns:
        The distance in squared units of the features; 0 for equal sets.
    """
    mean_a, factor_a = _gaussian(a)
    mean_b, factor_b = _gaussian(b)
    shared = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.sum(factor_a**2) + np.sum(factor_b**2) - 2 * shared
    return max(0.0, float(distance))  # only rounding can make the sum negative


def _gaussian(features: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean, float64[d], and a factor R of the covariance R^T R, float64[min(n, d), d]."""
    x = features.astype(np.float64)
    mean = x.mean(axis=0)
    return mean, np.asarray(np.linalg.qr((x - mean) / np.sqrt(len(x) - 1), mode="r"))

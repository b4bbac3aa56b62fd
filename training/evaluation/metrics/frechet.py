"""The Fréchet distance between two sets of features, each taken for a Gaussian (Heusel et al., 2017; Dowson & Landau, 1982).

|mu_a - mu_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2)), with S the unbiased covariances. The last trace is the sum of the
singular values of R_a R_b^T, where R are the triangular factors of the centred features (S = R^T R): no covariance is formed
and no square root of a matrix taken, so that sets with fewer examples than features, or features that never change, do no harm.
The distance is biased upwards for small sets: it compares only between sets of the same sizes.
"""

import numpy as np
from numpy.typing import NDArray


def frechet(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """The squared distance, in squared units of the features; 0 for equal sets. Computed in float64.

    Args:
        a: [n, d], n at least 2.
        b: [m, d], m at least 2.
    """
    mean_a, factor_a = _gaussian(a)
    mean_b, factor_b = _gaussian(b)
    shared = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.sum(factor_a**2) + np.sum(factor_b**2) - 2 * shared
    return max(0.0, float(distance))  # rounding alone can make it negative


def _gaussian(features: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean, float64[d], and a factor R of the covariance R^T R, float64[min(n, d), d]."""
    x = features.astype(np.float64)
    mean = x.mean(axis=0)
    return mean, np.asarray(np.linalg.qr((x - mean) / np.sqrt(len(x) - 1), mode="r"))

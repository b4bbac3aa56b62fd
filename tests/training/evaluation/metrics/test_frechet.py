"""The Fréchet distance, compared with SciPy's matrix square root and closed forms."""

import numpy as np
import pytest
import scipy.linalg

from seedmint.training.evaluation.metrics.frechet import frechet


def scipy_distance(a, b):
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)


def standard_normal_features(random, n, d):
    """Return float64[n, d] with exactly zero mean and unit covariance."""
    x = random.standard_normal((n, d))
    return np.linalg.qr(x - x.mean(axis=0))[0] * np.sqrt(n - 1)


def test_distance_matches_scipy():
    random = np.random.default_rng(0)
    a = random.standard_normal((500, 40)) @ random.standard_normal((40, 40))
    b = random.standard_normal((300, 40)) @ random.standard_normal((40, 40)) + 1
    assert frechet(a, b) == pytest.approx(scipy_distance(a, b), rel=1e-9)
    assert frechet(b, a) == pytest.approx(frechet(a, b), rel=1e-12)


def test_distance_of_axis_aligned_gaussians():
    """|mu_a - mu_b|^2 + sum (sigma_a - sigma_b)^2."""
    random = np.random.default_rng(1)
    sigma_a, sigma_b, mean = np.array([1.0, 2.0, 0.5]), np.array([3.0, 0.1, 0.5]), np.array([1.0, -2.0, 0.0])
    a, b = standard_normal_features(random, 100, 3) * sigma_a, standard_normal_features(random, 80, 3) * sigma_b + mean
    assert frechet(a, b) == pytest.approx(5 + np.sum((sigma_a - sigma_b) ** 2), rel=1e-12)


def test_distance_of_equal_sets_is_zero():
    a = np.random.default_rng(2).standard_normal((200, 30)).astype(np.float32) * 100
    assert 0 <= frechet(a, a) <= 1e-7 * np.trace(np.cov(a, rowvar=False))


def test_constant_features_and_small_sets():
    """For singular covariances, a square root of their product would lose half of the digits."""
    random = np.random.default_rng(3)
    a, b = random.standard_normal((10, 50)), np.tile(random.standard_normal(50), (20, 1))
    a[:, ::2] = 0
    expected = np.sum((a.mean(axis=0) - b[0]) ** 2) + a.var(axis=0, ddof=1).sum()  # b is constant: its covariance is 0
    assert frechet(a, b) == pytest.approx(expected, rel=1e-12)

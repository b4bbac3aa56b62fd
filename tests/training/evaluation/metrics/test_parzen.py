"""The Parzen window, compared with scikit-learn's kernel density and a closed form."""

import math

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from seedmint.training.evaluation.metrics.parzen import SIGMAS, parzen


@pytest.fixture
def sets():
    random = np.random.default_rng(0)
    return [random.random((n, 20)) for n in (300, 120, 700)]


def test_log_likelihood_matches_scikit_learn(sets):
    samples, valid, test = sets
    densities = [KernelDensity(bandwidth=sigma).fit(samples) for sigma in SIGMAS]
    best = max(range(len(SIGMAS)), key=lambda i: densities[i].score_samples(valid).mean())
    result = parzen(samples, valid, test)
    expected = densities[best].score_samples(test)
    assert result.sigma == SIGMAS[best]
    assert 0 < best < len(SIGMAS) - 1  # the best sigma is not at the end of the range
    assert result.mean == pytest.approx(expected.mean(), rel=1e-10)
    assert result.standard_error == pytest.approx(expected.std() / math.sqrt(len(test)), rel=1e-9)


def test_one_sample_gives_one_gaussian():
    """log N(x; 0, sigma^2 I) = -d/2 log(2 pi sigma^2) - |x|^2 / (2 sigma^2)."""
    test = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]])
    result = parzen(np.zeros((1, 3)), test, test, np.array([0.5]))
    expected = -1.5 * math.log(2 * math.pi * 0.25) - np.array([0, 25]) / 0.5
    assert result.mean == pytest.approx(expected.mean(), rel=1e-12)
    assert result.standard_error == pytest.approx(expected.std() / math.sqrt(2), rel=1e-12)


def test_distant_points_have_a_finite_likelihood():
    """exp(-d^2 / 2 sigma^2) is 0 in float64 for d above 39 sigma."""
    result = parzen(np.zeros((2, 1)), np.ones((1, 1)), np.full((1, 1), 100.0), np.array([0.1]))
    assert result.mean == pytest.approx(-math.log(0.1 * math.sqrt(2 * math.pi)) - 100**2 / 0.02, rel=1e-12)

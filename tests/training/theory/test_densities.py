"""Densities and divergences, compared with closed forms and SciPy."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from seedmint.training.theory.densities import Grid, density_of_map, gaussian, mixture, normal_quantiles, uniform
from seedmint.training.theory.divergences import jsd, kl, optimal_logits, value_by_quadrature, wasserstein

GRID = Grid(-30.0, 30.0, 6000)


def log_densities(*densities):
    return [density.log_prob(GRID.x) for density in densities]


def test_mixture_and_its_samples_match_scipy():
    density = mixture([3.0, 7.0], [-1.0, 2.0], [0.5, 1.0])
    parts = (0.3, stats.norm(-1.0, 0.5)), (0.7, stats.norm(2.0, 1.0))
    expected = np.log(sum(weight * part.pdf(GRID.x) for weight, part in parts))
    inside = GRID.x.abs() < 8
    np.testing.assert_allclose(density.log_prob(GRID.x)[inside], expected[inside], rtol=1e-9)
    samples = density.sample((20_000,)).numpy()
    assert stats.kstest(samples, lambda x: sum(weight * part.cdf(x) for weight, part in parts)).pvalue > 1e-3


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 1.0), (-2.0, 0.6), (0.3, 2.0)])
def test_kl_of_gaussians(mean, std):
    p, q = log_densities(gaussian(mean, std), gaussian(0.0, 1.0))
    assert float(kl(GRID, p, q)) == pytest.approx(-math.log(std) + (std**2 + mean**2 - 1) / 2, abs=1e-12)


@pytest.mark.parametrize("shift", [0.5, 2.0, 5.0])
def test_jsd_matches_scipy_quadrature(shift):
    def integrand(x):
        p, q = stats.norm.pdf(x), stats.norm.pdf(x, shift)
        m = (p + q) / 2
        return (p * np.log(p / m) + q * np.log(q / m)) / 2

    expected, _ = integrate.quad(integrand, -12, 12 + shift, epsabs=1e-12, limit=200)
    p, q = log_densities(gaussian(0.0, 1.0), gaussian(shift, 1.0))
    assert float(jsd(GRID, p, q)) == pytest.approx(expected, abs=1e-9)
    assert float(jsd(GRID, q, p)) == pytest.approx(expected, abs=1e-9)


def test_jsd_of_uniform_densities():
    grid = Grid(-2.0, 6.0, 1600)
    p = uniform(0.0, 1.0).log_prob(grid.x)
    for theta in (0.0, 0.25, 0.5, 1.0, 3.0):
        q = uniform(theta, theta + 1).log_prob(grid.x)
        assert float(jsd(grid, p, q)) == pytest.approx(min(theta, 1) * math.log(2), abs=1e-12)
        assert float(wasserstein(grid, p, q)) == pytest.approx(theta, abs=1e-12)


def test_kl_is_infinite_outside_the_support():
    grid = Grid(-2.0, 6.0, 1600)
    assert float(kl(grid, uniform(0.0, 2.0).log_prob(grid.x), uniform(0.0, 1.0).log_prob(grid.x))) == math.inf


def test_wasserstein_distance_of_shifted_gaussians():
    p, q = log_densities(gaussian(0.0, 1.0), gaussian(2.5, 1.0))
    assert float(wasserstein(GRID, p, q)) == pytest.approx(2.5, abs=1e-6)


def test_value_at_the_optimum_matches_theorem_1():
    p, q = log_densities(mixture([0.3, 0.7], [-1.0, 2.0], [0.5, 1.0]), gaussian(0.5, 1.5))
    best = optimal_logits(p, q)
    v = float(value_by_quadrature(GRID, p, q, best))
    assert v == pytest.approx(-math.log(4) + 2 * float(jsd(GRID, p, q)), abs=1e-12)
    for change in (0.1, -0.1):
        assert float(value_by_quadrature(GRID, p, q, best + change)) < v


def test_density_of_a_map_matches_scipy():
    grid = Grid(-6.0, 6.0, 300)
    z = normal_quantiles(1 << 14)
    found = density_of_map(1.0 + 0.5 * z, grid)
    np.testing.assert_allclose(found, stats.norm(1.0, 0.5).pdf(grid.x), atol=2e-3)
    folded = density_of_map(z.abs(), grid)  # two z for each x
    inside = grid.x > 0.1
    np.testing.assert_allclose(folded[inside], 2 * stats.norm.pdf(grid.x[inside]), atol=2e-3)
    assert float(grid.integral(found)) == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(density_of_map((1.0 + 0.5 * z).flip(0), grid), found, atol=1e-12)

"""Modes of Stacked MNIST, for generators with known modes."""

import math

import numpy as np
import pytest
from scipy.stats import entropy

from seedmint.training.evaluation.metrics.modes import NUM_MODES, SAMPLES, modes, number_of_digits

UNIFORM = np.arange(NUM_MODES).repeat(20)


def test_number_of_three_digits():
    assert number_of_digits(np.array([[1, 2, 3], [0, 0, 9], [9, 9, 9]])).tolist() == [123, 9, 999]


@pytest.mark.parametrize("hit", [1, 10, 250, 1000])
def test_divergence_of_uniform_modes(hit):
    result = modes(np.arange(SAMPLES // 1000 * 1000) % hit, UNIFORM)
    assert result.hit == hit
    assert result.kl == pytest.approx(math.log(NUM_MODES / hit), abs=1e-12)


def test_draws_from_the_data_hit_all_modes():
    """The expected divergence is (modes - 1) / 2n, within 2% for 26,000 draws."""
    draws = np.random.default_rng(0).integers(0, NUM_MODES, SAMPLES)
    result = modes(draws, UNIFORM)
    assert result.hit == NUM_MODES
    assert result.kl == pytest.approx(entropy(np.bincount(draws, minlength=NUM_MODES), np.bincount(UNIFORM)), rel=1e-9)
    assert result.kl == pytest.approx((NUM_MODES - 1) / (2 * SAMPLES), rel=0.1)

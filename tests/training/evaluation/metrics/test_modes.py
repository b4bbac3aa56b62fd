"""Modes of Stacked MNIST, of generators whose modes are known."""

import math

import numpy as np
import pytest
from scipy.stats import entropy

from seedmint.training.evaluation.metrics.modes import MODES, SAMPLES, modes, spelled

EVEN = np.arange(MODES).repeat(20)


def test_three_digits_spell_a_number_red_first():
    assert spelled(np.array([[1, 2, 3], [0, 0, 9], [9, 9, 9]])).tolist() == [123, 9, 999]


@pytest.mark.parametrize("hit", [1, 10, 250, 1000])
def test_the_divergence_of_some_even_modes_is_the_log_of_how_many_are_missed(hit):
    found = modes(np.arange(SAMPLES // 1000 * 1000) % hit, EVEN)
    assert found.hit == hit
    assert found.kl == pytest.approx(math.log(MODES / hit), abs=1e-12)


def test_draws_from_the_data_themselves_hit_all_modes_and_diverge_by_chance_alone():
    """(modes - 1) / 2n in the mean, 2% more or less of 26,000 draws."""
    draws = np.random.default_rng(0).integers(0, MODES, SAMPLES)
    found = modes(draws, EVEN)
    assert found.hit == MODES
    assert found.kl == pytest.approx(entropy(np.bincount(draws, minlength=MODES), np.bincount(EVEN)), rel=1e-9)
    assert found.kl == pytest.approx((MODES - 1) / (2 * SAMPLES), rel=0.1)

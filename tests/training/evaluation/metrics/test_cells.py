"""Copies per cell, beside independent computations."""

from fractions import Fraction

import numpy as np
import pytest

from seedmint.training.evaluation.metrics.cells import near_share


def expected_near_share(generated, held_out):
    """Take 1% of the held-out examples from the nearest on, with a part of equal ones; count generated examples alike."""
    left, shares = Fraction(1, 100), {}
    for distance in sorted(set(held_out)):
        equal = Fraction(held_out.count(distance), len(held_out))
        shares[distance] = min(Fraction(1), left / equal)
        left -= shares[distance] * equal
    limit = max(distance for distance, share in shares.items() if share > 0)
    counted = [shares.get(each, Fraction(int(each < limit))) for each in generated]
    return float(sum(counted) / len(generated))


@pytest.mark.parametrize("held_out_count", [7, 100, 250, 1000])
@pytest.mark.parametrize("values", [2, 30, 10_000])
def test_the_share_of_too_near_examples(held_out_count, values):
    random = np.random.default_rng(held_out_count + values)
    held_out, generated = random.integers(0, values, held_out_count), random.integers(0, values, 300)
    found = near_share(generated.astype(np.float64), held_out.astype(np.float64))
    assert found == pytest.approx(expected_near_share(generated.tolist(), held_out.tolist()), abs=1e-12)


def test_equal_distances_are_no_copies():
    """A third of the real examples is equal to a training example: as many generated examples are usual, more are not."""
    held_out = np.repeat([0.0, 1.0], [100, 200])
    assert near_share(held_out, held_out) == pytest.approx(0.01)
    assert near_share(np.zeros(50), held_out) == pytest.approx(0.03)

"""The kernel inception distance, against scikit-learn's kernel, and its standard error against the spread of many."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from seedmint.training.evaluation.metrics.kid import kid


def by_scikit_learn(a, b):
    xx, yy, xy = (polynomial_kernel(*pair, degree=3, gamma=1 / a.shape[1], coef0=1) for pair in ((a, a), (b, b), (a, b)))
    n, m = len(a), len(b)
    return (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()


@pytest.mark.parametrize(("n", "m"), [(300, 217), (64, 500), (3, 3)])
def test_it_is_lemma_6_with_scikit_learns_kernel(n, m):
    random = np.random.default_rng(0)
    a, b = random.random((n, 16)), random.random((m, 16)) * 1.3
    assert kid(a, b).value == pytest.approx(by_scikit_learn(a, b), rel=1e-9, abs=1e-12)


def test_the_jackknife_leaves_out_one_group_after_the_other():
    random = np.random.default_rng(1)
    a, b = random.random((60, 5)), random.random((41, 5)) + 0.1
    groups = [(np.array_split(a, 20)[g], np.array_split(b, 20)[g]) for g in range(20)]
    rest = [[np.concatenate([part[side] for h, part in enumerate(groups) if h != g]) for side in (0, 1)] for g in range(20)]
    left_out = np.array([by_scikit_learn(*pair) for pair in rest])
    assert kid(a, b).standard_error == pytest.approx(np.sqrt(19 * left_out.var()), rel=1e-9)


@pytest.mark.parametrize(("shift", "overstated"), [(0.0, 2**0.5), (0.6, 1.0)])
def test_it_is_unbiased_and_its_standard_error_is_its_spread(shift, overstated):
    """Of 120 draws: the mean within three standard errors of the truth, the spread told within a fifth."""
    random = np.random.default_rng(2)

    def drawn(n):
        return random.standard_normal((n, 4)), random.standard_normal((n, 4)) + shift

    found = [kid(*drawn(60)) for _ in range(120)]
    values = np.array([one.value for one in found])
    truth = by_scikit_learn(*drawn(4000)) if shift else 0.0
    assert abs(values.mean() - truth) < 3 * values.std() / np.sqrt(len(values))
    assert np.mean([one.standard_error for one in found]) == pytest.approx(overstated * values.std(), rel=0.2)

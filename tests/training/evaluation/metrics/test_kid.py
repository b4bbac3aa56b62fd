"""The kernel inception distance, compared with scikit-learn's kernel; its standard error, compared with repetitions."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from seedmint.training.datasets.draw import draw_order
from seedmint.training.evaluation.metrics.kid import kid


def scikit_learn_kid(a, b):
    xx, yy, xy = (polynomial_kernel(*pair, degree=3, gamma=1 / a.shape[1], coef0=1) for pair in ((a, a), (b, b), (a, b)))
    n, m = len(a), len(b)
    return (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()


@pytest.mark.parametrize(("n", "m"), [(300, 217), (64, 500), (3, 3)])
def test_distance_equals_lemma_6_with_the_kernel_of_scikit_learn(n, m):
    random = np.random.default_rng(0)
    a, b = random.random((n, 16)), random.random((m, 16)) * 1.3
    assert kid(a, b).value == pytest.approx(scikit_learn_kid(a, b), rel=1e-9, abs=1e-12)


def test_standard_error_equals_the_jackknife():
    random = np.random.default_rng(1)
    a, b = random.random((60, 5)), random.random((41, 5)) + 0.1
    a, b = a[draw_order(a)], b[draw_order(b)]  # the groups are drawn, whatever the order of the rows
    groups = [(np.array_split(a, 20)[g], np.array_split(b, 20)[g]) for g in range(20)]
    rest = [[np.concatenate([part[side] for h, part in enumerate(groups) if h != g]) for side in (0, 1)] for g in range(20)]
    leave_one_out = np.array([scikit_learn_kid(*pair) for pair in rest])
    assert kid(a, b).standard_error == pytest.approx(np.sqrt(19 * leave_one_out.var()), rel=1e-9)


@pytest.mark.parametrize(("shift", "error_factor"), [(0.0, 2**0.5), (0.6, 1.0)])
def test_distance_is_unbiased_and_its_error_matches_repetitions(shift, error_factor):
    """Over 120 repetitions, the mean distance is within three standard errors of the truth, and the error within 20%."""
    random = np.random.default_rng(2)

    def draw(n):
        return random.standard_normal((n, 4)), random.standard_normal((n, 4)) + shift

    results = [kid(*draw(60)) for _ in range(120)]
    values = np.array([result.value for result in results])
    truth = scikit_learn_kid(*draw(4000)) if shift else 0.0
    assert abs(values.mean() - truth) < 3 * values.std() / np.sqrt(len(values))
    assert np.mean([result.standard_error for result in results]) == pytest.approx(error_factor * values.std(), rel=0.2)

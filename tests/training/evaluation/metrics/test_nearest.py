"""Nearest training images, against scikit-learn's neighbours; the copying figure against SciPy's Mann-Whitney test."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.neighbors import NearestNeighbors

from seedmint.training.evaluation.metrics import nearest as module
from seedmint.training.evaluation.metrics.nearest import copying, nearest


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (n, 3, 6, 6), dtype=np.uint8) for n in (70, 400)]


def flat(images):
    return images.reshape(len(images), -1) / 255


@pytest.mark.parametrize("at_once", [1, 2000, 10**9])
def test_it_finds_the_neighbours_that_scikit_learn_finds(monkeypatch, images, at_once):
    monkeypatch.setattr(module, "_DISTANCES_AT_ONCE", at_once)
    generated, train = images
    distances, rows = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat(train)).kneighbors(flat(generated))
    found = nearest(generated, train)
    assert (found.rows == rows[:, 0]).all()
    assert found.distances == pytest.approx(distances[:, 0], rel=1e-12)


@pytest.mark.parametrize("at_once", [1, 2000, 10**9])
def test_images_of_the_set_are_not_their_own_neighbours(monkeypatch, images, at_once):
    monkeypatch.setattr(module, "_DISTANCES_AT_ONCE", at_once)
    train = images[1]
    _, rows = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(flat(train)).kneighbors(flat(train[:50]))
    assert (nearest(train[:50], train, own=True).rows == rows[:, 1]).all()


def test_a_copy_is_at_no_distance_at_all(images):
    train = images[1]
    found = nearest(train[[9, 3]], train)
    assert found.rows.tolist() == [9, 3]
    assert found.distances.tolist() == [0, 0]


def test_the_copying_figure_is_the_mann_whitney_statistic():
    random = np.random.default_rng(1)
    generated, held_out = random.integers(0, 40, 300) / 4, random.integers(5, 60, 200) / 4  # with ties
    expected = mannwhitneyu(held_out, generated).statistic / (300 * 200)
    assert copying(generated, held_out)[0] == pytest.approx(expected, rel=1e-12)


def test_copies_score_1_and_images_like_unseen_ones_a_half():
    random = np.random.default_rng(2)
    held_out = random.random(2000) + 1
    assert copying(np.zeros(100), held_out)[0] == 1
    value, error = copying(random.random(2000) + 1, held_out)
    assert abs(value - 0.5) < 3 * error


def test_the_standard_error_is_the_spread_of_many():
    """Told within a tenth."""
    random = np.random.default_rng(3)
    found = np.array([copying(random.normal(0.3, 1, 80), random.normal(0, 1, 120)) for _ in range(500)])
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.1)

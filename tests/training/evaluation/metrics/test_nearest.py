"""Nearest training images, compared with scikit-learn; the copying statistic, compared with SciPy's Mann-Whitney test."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.neighbors import NearestNeighbors

from seedmint.training.evaluation.metrics import nearest as module
from seedmint.training.evaluation.metrics.nearest import copying, nearest_neighbors


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (n, 3, 6, 6), dtype=np.uint8) for n in (70, 400)]


def flat(images):
    return images.reshape(len(images), -1) / 255


@pytest.mark.parametrize("block_size", [1, 2000, 10**9])
def test_neighbors_match_scikit_learn(monkeypatch, images, block_size):
    monkeypatch.setattr(module, "_BLOCK_SIZE", block_size)
    monkeypatch.setattr(module, "_CANDIDATES", 150)
    generated, train = images
    distances, rows = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat(train)).kneighbors(flat(generated))
    result = nearest_neighbors(generated, train)
    assert (result.rows == rows[:, 0]).all()
    assert result.distances == pytest.approx(distances[:, 0], rel=1e-12)


@pytest.mark.parametrize("block_size", [1, 2000, 10**9])
def test_exclude_self(monkeypatch, images, block_size):
    monkeypatch.setattr(module, "_BLOCK_SIZE", block_size)
    monkeypatch.setattr(module, "_CANDIDATES", 150)
    train = images[1]
    _, rows = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(flat(train)).kneighbors(flat(train[:50]))
    assert (nearest_neighbors(train[:50], train, exclude_self=True).rows == rows[:, 1]).all()


def test_copy_has_distance_zero(images):
    train = images[1]
    result = nearest_neighbors(train[[9, 3]], train)
    assert result.rows.tolist() == [9, 3]
    assert result.distances.tolist() == [0, 0]


def test_copying_equals_the_mann_whitney_statistic():
    random = np.random.default_rng(1)
    generated, held_out = random.integers(0, 40, 300) / 4, random.integers(5, 60, 200) / 4  # with ties
    expected = mannwhitneyu(held_out, generated).statistic / (300 * 200)
    assert copying(generated, held_out)[0] == pytest.approx(expected, rel=1e-12)


def test_copies_score_1_and_held_out_images_one_half():
    random = np.random.default_rng(2)
    held_out = random.random(2000) + 1
    assert copying(np.zeros(100), held_out)[0] == 1
    value, error = copying(random.random(2000) + 1, held_out)
    assert abs(value - 0.5) < 3 * error


def test_standard_error_matches_repetitions():
    """The mean error is within 10% of the standard deviation of 500 repetitions."""
    random = np.random.default_rng(3)
    result = np.array([copying(random.normal(0.3, 1, 80), random.normal(0, 1, 120)) for _ in range(500)])
    assert result[:, 1].mean() == pytest.approx(result[:, 0].std(), rel=0.1)

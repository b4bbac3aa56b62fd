import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from seedmint.training.evaluation.metrics.patches import _pyramid, num_scales, patch_distances, sliced_wasserstein

RANDOM = np.random.default_rng(0)


def test_the_sliced_distance_is_the_mean_of_scipys_1d_distances():
    a, b = RANDOM.normal(size=(200, 5)), RANDOM.normal(0.3, 2, size=(200, 5))
    directions = RANDOM.normal(size=(5, 9))
    directions /= np.linalg.norm(directions, axis=0)
    expected = np.mean([wasserstein_distance(a @ d, b @ d) for d in directions.T])
    assert sliced_wasserstein(a, b, directions) == pytest.approx(expected, rel=1e-9)


def test_scales():
    assert [num_scales(side, side) for side in (6, 8, 28, 32, 64, 128)] == [0, 1, 1, 2, 3, 4]


def test_speckles_are_seen_at_the_finest_scale():
    smooth = RANDOM.integers(0, 256, (80, 3, 4, 4), dtype=np.uint8).repeat(8, 2).repeat(8, 3)
    other = RANDOM.integers(0, 256, (80, 3, 4, 4), dtype=np.uint8).repeat(8, 2).repeat(8, 3)
    speckled = np.clip(other + RANDOM.normal(0, 40, other.shape), 0, 255).astype(np.uint8)
    same, worse = patch_distances(other, smooth), patch_distances(speckled, smooth)
    assert len(same) == 2
    assert patch_distances(smooth, smooth) == [0, 0]
    assert worse[0] > 1.5 * same[0]
    assert worse[0] > worse[1]


def test_scale_0_is_what_the_blur_removes():
    """A constant image has an empty finest scale; the coarsest scale keeps its value."""
    fine, coarse = _pyramid(np.full((1, 1, 32, 32), 51, np.uint8), 2)
    np.testing.assert_allclose(fine, 0, atol=1e-12)
    np.testing.assert_allclose(coarse, 0.2)
    images = RANDOM.integers(0, 256, (2, 1, 32, 32), dtype=np.uint8)
    taps = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    padded = np.pad(images[0, 0] / 255, 2, mode="reflect")
    expected = sum(taps[v, u] * padded[v : v + 32, u : u + 32] for v in range(5) for u in range(5))[::2, ::2]
    np.testing.assert_allclose(_pyramid(images, 2)[1][0, 0], expected)

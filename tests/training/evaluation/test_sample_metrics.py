"""Metrics of samples, compared with SciPy, NumPy and known distributions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import cKDTree

from seedmint.training.datasets import load_splits
from seedmint.training.datasets.generated import RING_MODES, RING_STD
from seedmint.training.evaluation import sample_copies
from seedmint.training.evaluation.metrics.correlations import correlation_difference
from seedmint.training.evaluation.metrics.marginals import kolmogorov_smirnov, wasserstein
from seedmint.training.evaluation.metrics.ring import count_modes, mode_shapes
from seedmint.training.evaluation.sample_metrics import NUM_SAMPLES, RealSamples, measure_samples
from seedmint.training.recipes.data import Data


def two_samples(seed=0, n=300, m=200):
    """Return two samples of three columns: continuous, integers with many ties, and constant in the second sample."""
    random = np.random.default_rng(seed)
    a = np.stack([random.normal(size=n), random.integers(0, 5, n), random.uniform(size=n)], axis=1)
    b = np.stack([random.normal(0.5, 2, m), random.integers(2, 9, m), np.full(m, 0.3)], axis=1)
    return a.astype(np.float32), b.astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_distances_match_scipy(seed):
    a, b = two_samples(seed)
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    expected = [stats.wasserstein_distance(x, y) for x, y in zip(a64.T, b64.T, strict=True)]
    np.testing.assert_allclose(wasserstein(a, b), expected, rtol=1e-12)
    expected = [stats.ks_2samp(x, y).statistic for x, y in zip(a64.T, b64.T, strict=True)]
    np.testing.assert_allclose(kolmogorov_smirnov(a, b), expected, rtol=1e-12)
    assert (wasserstein(a, a) == 0).all()
    assert (kolmogorov_smirnov(b, b) == 0).all()


def test_wasserstein_distance_of_a_shift():
    a = np.random.default_rng(0).normal(size=(5000, 1))
    np.testing.assert_allclose(wasserstein(a, a + 0.7), 0.7, rtol=1e-12)


def test_correlations_match_numpy():
    a, b = (values[:, :2] for values in two_samples())
    expected = abs(np.corrcoef(a.astype(np.float64).T)[0, 1] - np.corrcoef(b.astype(np.float64).T)[0, 1])
    assert correlation_difference(a, b) == pytest.approx(expected, rel=1e-10)
    x = np.random.default_rng(0).normal(size=(1000, 4))
    y = np.random.default_rng(1).normal(size=(900, 4)) @ np.random.default_rng(2).normal(size=(4, 4))
    pairs = np.triu_indices(4, 1)
    expected = np.abs(np.corrcoef(x.T) - np.corrcoef(y.T))[pairs].mean()
    assert correlation_difference(x, y) == pytest.approx(expected, rel=1e-10)


def test_constant_column_has_correlation_0():
    x = np.random.default_rng(0).normal(size=(1000, 1))
    constant = np.concatenate([x, np.full_like(x, 0.1)], axis=1)
    assert correlation_difference(np.concatenate([x, x], axis=1), constant) == pytest.approx(1, abs=1e-9)


def test_mode_counts():
    on, near, far = RING_MODES[0], RING_MODES[3] + [0, 2.9 * RING_STD], RING_MODES[5] + [3.1 * RING_STD, 0]
    found = count_modes(np.array([on, on, near, far], np.float32), RING_MODES, RING_STD)
    assert (found.hit, found.quality) == (2, 0.75)
    nowhere = count_modes(np.zeros((5, 2), np.float32), RING_MODES, RING_STD)
    assert (nowhere.hit, nowhere.quality) == (0, 0.0)


def test_mode_counts_of_the_real_ring():
    """P(|x| <= 3 sigma) in two dimensions is 1 - exp(-9/2) = 0.98889; tolerance: four standard errors of 50,000 draws."""
    found = count_modes(load_splits(Data(source="ring-2d"))[0].samples, RING_MODES, RING_STD)
    assert found.hit == 8
    assert found.quality == pytest.approx(1 - np.exp(-4.5), abs=4 * 0.105 / 50_000**0.5)


def values_by_name(metrics):
    return {metric.metric: metric.value for metric in metrics}


def real_samples(source):
    data = Data(source=source)
    return RealSamples(data, *load_splits(data))


def test_scores_of_training_data():
    """Training and held-out data of one distribution differ by about 0.01 for 10,000 draws."""
    for source in ("ring-2d", "gaussian-1d", "sines"):
        real = real_samples(source)
        names = ("marginals", "correlations")
        samples = real.train.samples
        found = values_by_name(measure_samples(real, lambda seeds, s=samples: s[seeds % len(s)], names, with_draws=False))
        assert {value < 0.03 for name, value in found.items() if "of" in name or "difference" in name} == {True}
    assert {"wasserstein-1 of x", "kolmogorov-smirnov of x", "correlation-difference"} == set(found)


def test_scores_of_a_collapsed_generator():
    collapsed = RING_MODES[:1].astype(np.float32)
    found = measure_samples(real_samples("ring-2d"), lambda seeds: np.tile(collapsed, (len(seeds), 1)))
    values = values_by_name(found)
    assert (values["modes"], values["high-quality-share"]) == (1.0, 1.0)
    assert (values["mode-width-smallest"], values["mode-share-largest"], values["mode-ks-largest"]) == (0, 1, 1)
    assert values["wasserstein-1 of x"] > 0.5
    assert values["kolmogorov-smirnov of y"] > 0.4
    assert {metric.samples for metric in found if not metric.metric.startswith("closest")} == {NUM_SAMPLES}
    assert all("seeds 0-9999" in metric.protocol for metric in found if not metric.metric.startswith("closest"))


def test_shapes_of_modes_are_those_that_were_drawn():
    """The first mode is half as wide, the second is shifted by one deviation, and the third has a fifth of the samples."""
    random = np.random.default_rng(0)

    def drawn(counts, widths, shifts):
        parts = zip(RING_MODES, counts, widths, shifts, strict=True)
        return np.concatenate([random.normal(c + np.array([s, 0]), w, (n, 2)) for c, n, w, s in parts]).astype(np.float32)

    std = RING_STD
    data = drawn([1000] * 8, [std] * 8, [0] * 8)
    found = mode_shapes(drawn([1000, 1000, 200, *[1000] * 5], [std / 2, *[std] * 7], [0, std, *[0] * 6]), data, RING_MODES, std)
    assert found.width == pytest.approx([0.51, *[1] * 7], abs=0.1)
    assert found.offset == pytest.approx([0, 0.93, *[0] * 6], abs=0.2)
    assert found.share == pytest.approx(np.array([1000, 1000, 200, *[1000] * 5]) / 7200, abs=0.01)
    assert found.distance[:2] == pytest.approx([0.16, 0.36], abs=0.06)  # of N(0, 1/2) and N(1, 1) from N(0, 1)
    assert found.distance[3:].max() < 0.08


def test_the_number_of_different_values_is_counted():
    found = values_by_name(
        measure_samples(real_samples("gaussian-1d"), lambda seeds: (seeds % 777).astype(np.float32)[:, None])
    )
    assert found["distinct-values"] == 777


def test_real_numbers_with_many_equal_values_are_no_copies():
    """gaussian-1d has 65,536 possible values: about half of fresh real numbers are equal to a training number."""
    real = real_samples("gaussian-1d")
    fresh = real.train.samples[::-1]
    others = replace(real.train, values=real.train.samples[:25_000])
    part = RealSamples(real.data, others, real.held_out)
    found = measure_samples(part, lambda seeds: fresh[seeds], ("records",))
    (near,) = [metric for metric in found if metric.metric == "closest-record-near"]
    assert near.interval[0] <= near.value <= near.interval[1]
    assert near.real == pytest.approx(0.01, abs=0.002)


def test_the_closest_records_of_long_series_are_those_of_all_pairs(monkeypatch):
    monkeypatch.setattr(sample_copies, "_BLOCK_SIZE", 1000)  # several blocks, the last one smaller
    rng = np.random.default_rng(0)
    records = rng.normal(3, 1, (90, 40))
    points = np.concatenate([rng.normal(3, 1, (50, 40)), records[:7]])
    distances = sample_copies.closest_distances(points, records)
    np.testing.assert_allclose(distances, cKDTree(records).query(points)[0], rtol=1e-12)
    assert (distances == 0).sum() == 7
    assert sample_copies.closest_distances(points[:1], records[:1]).shape == (1,)

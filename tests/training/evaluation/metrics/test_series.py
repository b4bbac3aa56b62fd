"""Metrics of series against independent computations: SciPy's signal processing, NumPy's correlations, and known processes."""

import numpy as np
import pytest
from scipy import signal, stats
from sklearn.ensemble import HistGradientBoostingRegressor

from seedmint.training.datasets import Dataset, load_splits
from seedmint.training.datasets.dataset import SeriesInfo
from seedmint.training.evaluation.metrics.series_dynamics import (
    autocorrelation,
    autocorrelation_difference,
    channel_correlations,
    power_spectrum,
    spectrum_difference,
)
from seedmint.training.evaluation.metrics.series_models import (
    convolve,
    detect,
    kernel_features,
    predictive_score,
    random_kernel,
)
from seedmint.training.evaluation.real_draws import random_group_orders
from seedmint.training.evaluation.sample_metrics import RealSamples, measure_samples
from seedmint.training.evaluation.series_metrics import measure_dynamics, with_missing_of
from seedmint.training.recipes.data import Data


def autoregressive(n, length, coefficient, seed, channels=1):
    """Return stationary AR(1) series with variance 1, float32[n, length, channels]."""
    noise = np.random.default_rng(seed).normal(size=(n, length + 100, channels)) * np.sqrt(1 - coefficient**2)
    return signal.lfilter([1.0], [1.0, -coefficient], noise, axis=1)[:, 100:].astype(np.float32)


def test_autocorrelation_is_that_of_scipy_and_of_the_process():
    series = autoregressive(300, 50, 0.8, 0)[:, :, 0]
    found = autocorrelation(series, 10)
    centered = series.astype(np.float64) - series.mean(dtype=np.float64)
    products = sum(signal.correlate(row, row, "full")[49:60] for row in centered)
    expected = products / (300 * (50 - np.arange(11)))
    np.testing.assert_allclose(found, expected[1:] / expected[0], rtol=1e-9)
    np.testing.assert_allclose(found, 0.8 ** np.arange(1, 11), atol=0.08)


def test_missing_values_do_not_change_the_autocorrelation_of_the_others():
    series = autoregressive(4000, 20, 0.8, 1)[:, :, 0]
    gaps = np.where(np.random.default_rng(2).random(series.shape) < 0.3, np.nan, series)
    np.testing.assert_allclose(autocorrelation(gaps, 5), autocorrelation(series, 5), atol=0.03)


@pytest.mark.parametrize("length", [32, 33])
def test_spectrum_is_the_periodogram_of_scipy(length):
    series = autoregressive(20, length, 0.5, 3)[:, :, 0].astype(np.float64)
    frequencies, power = signal.periodogram(series, detrend="constant", axis=1)
    np.testing.assert_allclose(power_spectrum(series), power.mean(axis=0), rtol=1e-9, atol=1e-12)
    other = autoregressive(20, length, 0.9, 4)[:, :, 0].astype(np.float64)
    expected = (
        np.abs(signal.periodogram(other, axis=1)[1].mean(axis=0) - power.mean(axis=0))[1:].sum() / power.mean(axis=0)[1:].sum()
    )
    assert spectrum_difference(other, series) == pytest.approx(expected)
    assert len(frequencies) == len(power_spectrum(series))


def test_channel_correlations_are_those_of_numpy():
    series = autoregressive(50, 12, 0.5, 5, channels=3)
    series[:, :, 1] += series[:, :, 0]
    expected = np.corrcoef(series.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(channel_correlations(series), expected, atol=1e-6)
    series[0, 3, 2] = np.nan
    rows = np.delete(series.reshape(-1, 3), 3, axis=0)
    assert channel_correlations(series)[1] == pytest.approx(np.corrcoef(rows[:, [0, 2]].T)[0, 1], abs=1e-6)


def test_kernels_are_convolutions_of_numpy():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3, 30)).astype(np.float32)
    for _ in range(5):
        weights, bias, dilation, padding = random_kernel(rng, 30)
        spread = np.zeros((len(weights) - 1) * dilation + 1)
        spread[::dilation] = weights
        expected = [np.correlate(np.pad(row, padding), spread, "valid") + bias for row in x]
        np.testing.assert_allclose(convolve(x, weights, bias, dilation, padding), expected, atol=1e-5)
    assert np.isfinite(kernel_features(x[:, :, None])).all()


def test_detection_finds_other_dynamics_with_the_same_marginals():
    real, same, other = (autoregressive(120, 24, coefficient, seed) for coefficient, seed in ((0.8, 7), (0.8, 8), (0.3, 9)))
    assert stats.ks_2samp(real.ravel(), other.ravel()).statistic < 0.05
    found = detect(other, real)
    assert found.auc > 0.9
    assert found.score > 0.3
    assert abs(detect(same, real).auc - 0.5) < 0.1
    assert autocorrelation_difference(other[:, :, 0], real[:, :, 0]) > 3 * autocorrelation_difference(
        same[:, :, 0], real[:, :, 0]
    )


def test_prediction_is_the_error_of_trees():
    real, same, other = (autoregressive(150, 20, coefficient, seed) for coefficient, seed in ((0.9, 10), (0.9, 11), (-0.5, 12)))
    score = predictive_score(same, real)
    assert score < 0.8 * predictive_score(other, real)
    parts = []
    for part in (same, real):
        windows = np.array([row[i : i + 9, 0] for row in part for i in range(12)], np.float64)
        rows = np.linspace(0, len(windows) - 1, min(len(windows), 3000)).astype(int)
        changes = np.diff(windows[rows], axis=1)
        parts.append((np.column_stack([windows[rows][:, 7], changes[:, :7]]), changes[:, 7]))
    trees = HistGradientBoostingRegressor(random_state=0, max_iter=60, early_stopping=False).fit(*parts[0])
    error = np.abs(trees.predict(parts[1][0]) - parts[1][1]).mean() / real.std(dtype=np.float64)
    assert score == pytest.approx(error, rel=1e-4)


def test_lengths_are_compared():
    real, short = (np.full((100, 9, 1), np.nan, np.float32) for _ in range(2))
    for i in range(100):
        real[i, : 5 + i % 5], short[i, : 5 + i % 2] = np.arange(5 + i % 5)[:, None], np.arange(5 + i % 2)[:, None]
    values = {name: value for name, _, value in measure_dynamics(short, real, ("x",), True, "")}
    expected = stats.ks_2samp(5 + np.arange(100) % 2, 5 + np.arange(100) % 5).statistic
    assert values["kolmogorov-smirnov of length"] == pytest.approx(expected)


def test_generated_series_miss_the_values_that_real_series_miss():
    samples = np.ones((2, 4, 1), np.float32)
    samples[0, 1] = np.nan
    info = SeriesInfo(None, None, False, True)
    real = Dataset("r", samples, None, None, None, ("x",), series=info)
    found = with_missing_of(np.ones((4, 4, 1), np.float32), real)
    assert sorted(np.isnan(found).sum(axis=(1, 2)).tolist()) == [0, 0, 1, 1]


def test_windows_of_one_block_stay_together_in_the_draws():
    groups = np.array([3, 1, 3, 2, 1, 3])
    for order in random_group_orders(groups, 4):
        assert sorted(order.tolist()) == list(range(6))
        assert (np.diff(groups[order]) != 0).sum() == 2


def test_perfect_windows_are_within_every_interval(tmp_path):
    """Overlapping windows of three long series: the draws of real windows keep those of a block together."""
    np.savez(tmp_path / "s.npz", series=autoregressive(3, 400, 0.9, 13)[:, :, 0])
    data = Data(source="series", path=str(tmp_path / "s.npz"), window=12, stride=4)
    train, held_out = load_splits(data)
    values = autoregressive(len(train), 12, 0.9, 14)
    found = measure_samples(RealSamples(data, train, held_out), lambda seeds: values[seeds], ("marginals", "dynamics"))
    assert len(found) == 7
    for metric in found:
        assert metric.interval[0] <= metric.value <= metric.interval[1], metric

"""Autocorrelation and spectrum of series. Values may be missing (NaN), within a series or after its end."""

import numpy as np
from numpy.typing import NDArray

MAX_LAG = 64

Floats = NDArray[np.float32] | NDArray[np.float64]


def autocorrelation(series: Floats, lags: int) -> NDArray[np.float64]:
    """Return the autocorrelation at the lags 1 to `lags`, float64[lags].

    r(k) is the mean of (x(t) - m)(x(t + k) - m) over all series and steps, divided by the mean of (x(t) - m)^2, where m is the
    mean of all values. So r(k) also shows differences between the means of the series.

    Args:
        series: float[n, length], NaN where a value is missing.
        lags: Largest lag, below the length.
    """
    known = np.isfinite(series)
    values = np.where(known, series, 0.0).astype(np.float64)
    values = np.where(known, values - values.sum() / max(1, known.sum()), 0.0)
    variance = float((values**2).sum() / max(1, known.sum()))
    found = []
    for lag in range(1, lags + 1):
        pairs = int((known[:, :-lag] & known[:, lag:]).sum())
        product = float(np.einsum("ij,ij->", values[:, :-lag], values[:, lag:]))
        found.append(product / pairs / variance if pairs and variance else 0.0)
    return np.array(found)


def power_spectrum(series: Floats) -> NDArray[np.float64]:
    """Return the mean one-sided periodogram, float64[length // 2 + 1], of series without their own means.

    The scale is that of a density at one sample for each step: |FFT|^2 / N, where N is the number of known values, and twice
    this except for the frequencies 0 and 1/2. Missing values count as the mean of the series.

    Args:
        series: float[n, length], NaN where a value is missing.
    """
    known = np.isfinite(series)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    values = np.where(known, series, 0.0).astype(np.float64)
    values = np.where(known, values - values.sum(axis=1, keepdims=True) / count, 0.0)
    power = np.abs(np.fft.rfft(values, axis=1)) ** 2 / count
    power[:, 1 : (series.shape[1] + 1) // 2] *= 2
    mean: NDArray[np.float64] = power.mean(axis=0)
    return mean


def autocorrelation_difference(a: Floats, b: Floats) -> float:
    """Return the mean of |r_a(k) - r_b(k)| over the lags 1 to half of the length, at most `MAX_LAG`.

    Args:
        a: float[n, length].
        b: float[m, length].
    """
    lags = num_lags(a.shape[1])
    return float(np.abs(autocorrelation(a, lags) - autocorrelation(b, lags)).mean())


def spectrum_difference(a: Floats, b: Floats) -> float:
    """Return the sum of |P_a(f) - P_b(f)| over all frequencies above 0, divided by the sum of P_b(f).

    Args:
        a: float[n, length].
        b: float[m, length].
    """
    power_a, power_b = power_spectrum(a)[1:], power_spectrum(b)[1:]
    return float(np.abs(power_a - power_b).sum() / max(power_b.sum(), np.finfo(np.float64).tiny))


def num_lags(length: int) -> int:
    """Return the number of lags that are compared.

    Args:
        length: Length of the series, in steps.
    """
    return max(1, min(MAX_LAG, length // 2))


def channel_correlations(series: Floats) -> NDArray[np.float64]:
    """Return Pearson's r of each pair of channels at the same step, over all series and steps, float64[pairs].

    Args:
        series: float[n, length, channels], at least two channels, NaN where a value is missing.
    """
    rows = series.reshape(-1, series.shape[2]).astype(np.float64)
    found = []
    for i, j in zip(*np.triu_indices(rows.shape[1], 1), strict=True):
        pair = rows[np.isfinite(rows[:, [i, j]]).all(axis=1)][:, [i, j]]
        centered = pair - pair.mean(axis=0) if len(pair) else pair
        scale = float(np.sqrt((centered**2).sum(axis=0).prod()))
        found.append(float((centered[:, 0] * centered[:, 1]).sum()) / scale if scale else 0.0)
    return np.array(found)

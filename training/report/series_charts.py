"""Charts of series: the values at each step, the autocorrelation and the spectrum of each channel, and the lengths."""

import numpy as np
from numpy.typing import NDArray

from seedmint.models.series import series_lengths
from seedmint.training.evaluation.metrics.series_dynamics import autocorrelation, num_lags, power_spectrum
from seedmint.training.report.svg_charts import Line, chart, histogram

MAX_CHANNELS = 12
"""Most channels with charts."""

_BINS = 30
_PARTS = ("held-out series", "generated")


def series_charts(
    titles: tuple[str, ...], held_out: NDArray[np.float32], generated: NDArray[np.float32], has_lengths: bool
) -> list[tuple[str, str]]:
    """Return the name and the chart, an <svg> element, of each property of the first `MAX_CHANNELS` channels.

    Args:
        titles: Names of the channels, with their units.
        held_out: float32[n, length, channels], NaN where a value is missing.
        generated: float32[m, length, channels].
        has_lengths: Whether the series have different lengths.
    """
    found = []
    for i, title in enumerate(titles[:MAX_CHANNELS]):
        parts = held_out[:, :, i], generated[:, :, i]
        found += [
            (f"values of {title}", _values(f"{title}: mean and standard deviation at each step", parts)),
            (f"autocorrelation of {title}", _autocorrelations(f"{title}: autocorrelation", parts)),
            (f"spectrum of {title}", _spectra(f"{title}: logarithm (base 10) of the power", parts)),
        ]
    if has_lengths:
        found.append(("lengths", _lengths(held_out, generated)))
    return found


def _values(title: str, parts: tuple[NDArray[np.float32], ...]) -> str:
    lines = []
    for label, part in zip(_PARTS, parts, strict=True):
        steps = np.flatnonzero(np.isfinite(part).any(axis=0))
        mean, std = np.nanmean(part[:, steps], axis=0), np.nanstd(part[:, steps], axis=0)
        lines.append(Line(label, steps.tolist(), mean.tolist(), std.tolist()))
    return chart(title, "step", lines)


def _autocorrelations(title: str, parts: tuple[NDArray[np.float32], ...]) -> str:
    lags = num_lags(parts[0].shape[1])
    x = list(range(1, lags + 1))
    return chart(title, "lag in steps", [Line(name, x, autocorrelation(part, lags).tolist()) for name, part in _named(parts)])


def _spectra(title: str, parts: tuple[NDArray[np.float32], ...]) -> str:
    length = parts[0].shape[1]
    frequencies = (np.arange(1, length // 2 + 1) / length).tolist()
    smallest = max(float(power_spectrum(parts[0])[1:].max()), 1e-30) * 1e-8
    lines = [
        Line(name, frequencies, np.log10(np.maximum(power_spectrum(part)[1:], smallest)).tolist())
        for name, part in _named(parts)
    ]
    return chart(title, "frequency in periods per step", lines)


def _lengths(held_out: NDArray[np.float32], generated: NDArray[np.float32]) -> str:
    found = [series_lengths(part) for part in (held_out, generated)]
    low, high = (int(limit(np.concatenate(found))) for limit in (np.min, np.max))
    edges = np.linspace(low - 0.5, high + 0.5, min(_BINS, high - low + 1) + 1)
    shares = [(np.histogram(part, edges)[0] / len(part)).tolist() for part in found]
    ticks = [str(low), str((low + high) // 2), str(high)]
    return histogram("length in steps", edges.tolist(), list(zip(_PARTS, shares, strict=True)), ticks)


def _named(parts: tuple[NDArray[np.float32], ...]) -> list[tuple[str, NDArray[np.float32]]]:
    return list(zip(_PARTS, parts, strict=True))

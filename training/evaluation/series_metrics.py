"""Measures a generator of series as the field does: autocorrelation, spectrum, lengths, detection and prediction."""

import numpy as np
from numpy.typing import NDArray

from seedmint.models.series import series_lengths
from seedmint.training.datasets import Dataset
from seedmint.training.evaluation.metrics.marginals import kolmogorov_smirnov
from seedmint.training.evaluation.metrics.series_dynamics import (
    MAX_LAG,
    autocorrelation_difference,
    channel_correlations,
    spectrum_difference,
)
from seedmint.training.evaluation.metrics.series_models import detect, predictive_score

MAX_SERIES = 1000
"""Most series of each kind for detection and prediction."""

Values = list[tuple[str, str, float]]  # name, protocol, value


def with_missing_of(generated: NDArray[np.float32], real: Dataset) -> NDArray[np.float32]:
    """Return generated series without the values that real series miss. Others are returned unchanged.

    Row i misses the values within real series i, in the order of the draw, and again from the first after the last.

    Args:
        generated: float32[n, length, channels].
        real: Real series.
    """
    if real.series is None or not real.series.is_masked:
        return generated
    samples = real.samples[real.draw_order]
    inside = np.arange(samples.shape[1]) < series_lengths(samples)[:, None]
    is_missing = np.isnan(samples) & inside[:, :, None]
    changed = np.where(is_missing[np.arange(len(generated)) % len(samples)], np.nan, generated).astype(np.float32)
    return np.where(np.isnan(changed).all(axis=(1, 2), keepdims=True), generated, changed)


def measure_dynamics(
    generated: NDArray[np.float32], real: NDArray[np.float32], names: tuple[str, ...], has_lengths: bool, text: str
) -> Values:
    """Return the differences of autocorrelations and spectra of each channel, and of the lengths.

    Args:
        generated: float32[n, length, channels], NaN where a value is missing.
        real: float32[m, length, channels].
        names: Names of the channels.
        has_lengths: Whether the series have different lengths.
        text: The compared seeds and data, for the protocol.
    """
    found: Values = []
    lags = f"{text}; mean over lags of 1 step to half of the length, at most {MAX_LAG}"
    power = f"{text}; mean periodograms, sum over the frequencies, as a part of the power of the data"
    for i, name in enumerate(names):
        a, b = generated[:, :, i], real[:, :, i]
        found.append((f"autocorrelation-difference of {name}", lags, autocorrelation_difference(a, b)))
        found.append((f"spectrum-difference of {name}", power, spectrum_difference(a, b)))
    if has_lengths:
        generated_lengths, lengths = (series_lengths(part).astype(np.float64)[:, None] for part in (generated, real))
        found.append(("kolmogorov-smirnov of length", text, float(kolmogorov_smirnov(generated_lengths, lengths)[0])))
    if len(names) > 1:
        pairs = f"{text}; mean over all pairs of channels at the same step"
        differences = np.abs(channel_correlations(generated) - channel_correlations(real))
        found.append(("channel-correlation-difference", pairs, float(differences.mean())))
    return found


def measure_models(generated: NDArray[np.float32], real: NDArray[np.float32], text: str) -> Values:
    """Return detection and prediction.

    Args:
        generated: float32[n, length, channels], NaN where a value is missing.
        real: float32[m, length, channels].
        text: The compared seeds and data, for the protocol.
    """
    generated, real = generated[:MAX_SERIES], real[:MAX_SERIES]
    text = f"{text}; at most the first {MAX_SERIES:,} of each"
    rocket = "a ridge classifier on random convolution kernels that tells generated from held-out series, 3-fold"
    found = detect(generated, real)
    values = [
        ("detection-auc", f"{text}; area under the ROC curve of {rocket}: 0.5 is best", found.auc),
        ("discriminative-score", f"{text}; |accuracy - 1/2| of {rocket}: 0 is best", found.score),
    ]
    error = predictive_score(generated, real)
    if error is not None:
        trees = "gradient-boosted trees of scikit-learn, trained on generated series, that predict the next step of real ones"
        values.append(("predictive-score", f"{text}; mean absolute error in standard deviations of {trees}", error))
    return values

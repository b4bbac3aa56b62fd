"""Models that judge series: a classifier of generated against real series, and a prediction of the next step.

The classifier is a ridge regression on the responses of random convolution kernels (Rocket, Dempster et al., 2020), one of the
best and quickest classifiers of series. Yoon et al., 2019 (TimeGAN) use recurrent networks for both scores.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

_KERNELS = 120
_KERNEL_LENGTHS = (5, 7, 9)
_KEY = 9  # of Philox
_FOLDS = 3
_MIN_SERIES = 2 * _FOLDS
_LAGS = 8
_MAX_ROWS = 3000  # of a prediction
_TREES = 60

Floats = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Detection:
    """How well a classifier tells generated from real series.

    Attributes:
        auc: Area under the ROC curve; 0.5 is best.
        score: |accuracy - 1/2|, the discriminative score of TimeGAN; 0 is best.
    """

    auc: float
    score: float


def detect(generated: Floats, real: Floats) -> Detection:
    """Return the result of 3-fold cross-validation with as many generated as real series.

    Args:
        generated: float[n, length, channels], NaN where a value is missing.
        real: float[m, length, channels].
    """
    n = min(len(generated), len(real))
    if n < _MIN_SERIES:
        return Detection(0.5, 0.0)
    y = np.repeat([0, 1], n)
    x = kernel_features(np.concatenate([generated[:n], real[:n]]))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-2, 4, 7)))
    with threadpool_limits(1):  # several threads slow such small models down, and change the rounding of sums
        scores = cross_val_predict(model, x, y, cv=folds, method="decision_function")
    return Detection(float(roc_auc_score(y, scores)), abs(float(((scores > 0) == y).mean()) - 0.5))


def kernel_features(series: Floats) -> NDArray[np.float32]:
    """Return the features of series, float32[n, k].

    Of each random kernel: the share of positive responses, and the largest response. Then the number of known values, and the
    mean and the standard deviation of each channel. Channels are standardized together; missing values are 0.

    Args:
        series: float[n, length, channels], NaN where a value is missing.
    """
    length, channels = series.shape[1:]
    known = np.isfinite(series)
    mean = np.nanmean(series, axis=(0, 1))
    std = np.nanstd(series, axis=(0, 1))
    x = np.where(known, (series - mean) / np.where(std > 0, std, 1.0), 0.0).astype(np.float32)
    rng = np.random.Generator(np.random.Philox(key=_KEY))
    parts = []
    for _ in range(_KERNELS):
        response = convolve(x[:, :, int(rng.integers(channels))], *random_kernel(rng, length))
        parts += [(response > 0).mean(axis=1), response.max(axis=1)]
    counts = np.maximum(known.sum(axis=1), 1)
    means = x.sum(axis=1) / counts
    spread = np.sqrt(np.maximum((x**2).sum(axis=1) / counts - means**2, 0.0))
    return np.column_stack([*parts, known.any(axis=2).sum(axis=1), means, spread]).astype(np.float32)


def random_kernel(rng: np.random.Generator, length: int) -> tuple[NDArray[np.float32], float, int, int]:
    """Return the weights, the bias, the dilation and the padding of a random kernel, as Rocket draws them.

    Args:
        rng: The random numbers.
        length: Length of the series.
    """
    size = min(int(rng.choice(_KERNEL_LENGTHS)), length)
    weights = rng.normal(size=size)
    weights -= weights.mean()
    largest = np.log2(max(1.0, (length - 1) / max(1, size - 1)))
    dilation = int(2 ** rng.uniform(0, largest))
    padding = (size - 1) * dilation // 2 if rng.random() < 0.5 else 0
    return weights.astype(np.float32), float(rng.uniform(-1, 1)), dilation, padding


def convolve(
    x: NDArray[np.float32], weights: NDArray[np.float32], bias: float, dilation: int, padding: int
) -> NDArray[np.float32]:
    """Return the responses of a kernel, float32[n, k].

    Args:
        x: float32[n, length].
        weights: float32[size].
        bias: Added to each response.
        dilation: Steps between two weights.
        padding: Zeros on both sides.
    """
    padded = np.pad(x, ((0, 0), (padding, padding)))
    width = padded.shape[1] - (len(weights) - 1) * dilation
    response = np.full((len(x), width), bias, np.float32)
    for i, weight in enumerate(weights):
        response += weight * padded[:, i * dilation : i * dilation + width]
    return response


def predictive_score(train: Floats, test: Floats) -> float | None:
    """Return the error of a model that learns from some series to predict the next step of others.

    Gradient-boosted trees predict the change of each channel from its last steps and those of the other channels.

    Args:
        train: float[n, length, channels], NaN where a value is missing.
        test: float[m, length, channels].

    Returns:
        The mean absolute error, in standard deviations of the test values of each channel; None without complete windows.
    """
    lags = min(_LAGS, train.shape[1] - 1)
    if lags < 1:
        return None
    x, y = _windows(train, lags)
    x_test, y_test = _windows(test, lags)
    if len(x) < _MIN_SERIES or not len(x_test):
        return None
    std = np.nanstd(test, axis=(0, 1))
    errors = []
    for channel in range(train.shape[2]):
        trees = HistGradientBoostingRegressor(random_state=0, max_iter=_TREES, early_stopping=False)
        with threadpool_limits(1):
            predicted = trees.fit(x, y[:, channel]).predict(x_test)
        errors.append(float(np.abs(predicted - y_test[:, channel]).mean()) / (float(std[channel]) or 1.0))
    return float(np.mean(errors))


def _windows(series: Floats, lags: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the last values and the last changes, float64[k, ...], and the next change, float64[k, channels]."""
    views = np.lib.stride_tricks.sliding_window_view(series, lags + 1, axis=1)  # [n, starts, channels, lags + 1]
    rows = views.reshape(-1, *views.shape[2:])
    rows = rows[np.isfinite(rows).all(axis=(1, 2))]
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MAX_ROWS)).astype(np.int64)].astype(np.float64)
    changes = np.diff(rows, axis=2)
    features = np.concatenate([rows[:, :, lags - 1], changes[:, :, :-1].reshape(len(rows), -1)], axis=1)
    return features, changes[:, :, -1]

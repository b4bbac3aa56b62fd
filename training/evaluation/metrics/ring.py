"""Mixtures of narrow Gaussians: mode collapse, as counted by Metz et al. (2017) and PacGAN (Lin et al., 2018), and shapes.

A generator can hit all modes and still draw each mode too narrow, beside its center, or too often. Therefore each mode is also
compared with the samples of the data near the same center.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.training.evaluation.metrics.marginals import kolmogorov_smirnov

_MAX_DEVIATIONS = 3.0
_MIN_SAMPLES = 2  # of a mode, to have a width


@dataclass(frozen=True)
class ModeCounts:
    """Result of `count_modes`. A sample has high quality if it is within three standard deviations of a mode.

    Attributes:
        hit: Number of modes with a high-quality sample.
        quality: Share of high-quality samples.
    """

    hit: int
    quality: float


@dataclass(frozen=True)
class ModeShapes:
    """Result of `mode_shapes`: the high-quality samples of each mode.

    Attributes:
        width: float64[modes], standard deviation of a coordinate over that of the data; 0 for a mode without samples.
        offset: float64[modes], distance of the mean from that of the data, in standard deviations of the mode; 3, the
            largest possible, for a mode without samples.
        share: float64[modes], share of the high-quality samples.
        distance: float64[modes], the larger of the Kolmogorov-Smirnov distances of the coordinates to the data's; 1 for a mode
            without samples.
    """

    width: NDArray[np.float64]
    offset: NDArray[np.float64]
    share: NDArray[np.float64]
    distance: NDArray[np.float64]


def count_modes(samples: NDArray[np.float32], centers: NDArray[np.float64], std: float) -> ModeCounts:
    """Count the modes and the high-quality samples.

    Args:
        samples: float32[n, d].
        centers: float64[modes, d], distant from each other.
        std: Standard deviation of each mode, the same in all directions.
    """
    mode = _modes(samples, centers, std)
    return ModeCounts(len(np.unique(mode[mode >= 0])), float((mode >= 0).mean()))


def mode_shapes(
    samples: NDArray[np.float32], data: NDArray[np.float32], centers: NDArray[np.float64], std: float
) -> ModeShapes:
    """Compare the high-quality samples of each mode with those of the data.

    Args:
        samples: float32[n, d].
        data: float32[m, d], with at least two high-quality samples of each mode.
        centers: float64[modes, d], distant from each other.
        std: Standard deviation of each mode, the same in all directions.
    """
    generated_mode, data_mode = _modes(samples, centers, std), _modes(data, centers, std)
    shapes = []
    for mode in range(len(centers)):
        a, b = (values[of == mode].astype(np.float64) for values, of in ((samples, generated_mode), (data, data_mode)))
        if len(a) < _MIN_SAMPLES:
            shapes.append((0.0, _MAX_DEVIATIONS, len(a), 1.0))
            continue
        width = np.sqrt(a.var(axis=0).mean() / b.var(axis=0).mean())
        offset = np.linalg.norm(a.mean(axis=0) - b.mean(axis=0)) / std
        shapes.append((float(width), float(offset), len(a), float(kolmogorov_smirnov(a, b).max())))
    width, offset, count, distance = np.array(shapes).T
    return ModeShapes(width, offset, count / max(1, count.sum()), distance)


def _modes(samples: NDArray[np.float32], centers: NDArray[np.float64], std: float) -> NDArray[np.int64]:
    """Return the mode of each sample, int64[n]; -1 for a sample without high quality."""
    distances = np.linalg.norm(samples[:, None].astype(np.float64) - centers, axis=2)
    is_near = distances.min(axis=1) <= _MAX_DEVIATIONS * std
    return np.where(is_near, distances.argmin(axis=1), -1)

"""Mode collapse on mixtures of narrow Gaussians, counted as by Metz et al. (2017) and PacGAN (Lin et al., 2018)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MAX_DEVIATIONS = 3.0


@dataclass(frozen=True)
class ModeCounts:
    """Result of `count_modes`. A sample has high quality if it is within three standard deviations of a mode.

    Attributes:
        hit: Number of modes with a high-quality sample.
        quality: Share of high-quality samples.
    """

    hit: int
    quality: float


def count_modes(samples: NDArray[np.float32], centers: NDArray[np.float64], std: float) -> ModeCounts:
    """Count the modes and the high-quality samples.

    Args:
        samples: float32[n, d].
        centers: float64[modes, d], distant from each other.
        std: Standard deviation of each mode, the same in all directions.
    """
    distances = np.linalg.norm(samples[:, None].astype(np.float64) - centers, axis=2)
    is_near = distances.min(axis=1) <= _MAX_DEVIATIONS * std
    return ModeCounts(len(np.unique(distances.argmin(axis=1)[is_near])), float(is_near.mean()))

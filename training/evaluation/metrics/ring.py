"""Mode collapse on mixtures of narrow Gaussians, as the literature counts it (Metz et al., 2017; Lin et al., PacGAN, 2018)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DEVIATIONS = 3.0


@dataclass(frozen=True)
class Modes:
    """`hit`: modes with a sample of high quality, which is within three standard deviations; `quality`: the share of such."""

    hit: int
    quality: float


def modes(samples: NDArray[np.float32], centres: NDArray[np.float64], std: float) -> Modes:
    """Count.

    Args:
        samples: float32[n, d].
        centres: float64[modes, d], far apart.
        std: of each mode, the same in all directions.
    """
    distances = np.linalg.norm(samples[:, None].astype(np.float64) - centres, axis=2)
    near = distances.min(axis=1) <= _DEVIATIONS * std
    return Modes(len(np.unique(distances.argmin(axis=1)[near])), float(near.mean()))

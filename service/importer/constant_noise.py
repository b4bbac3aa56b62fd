"""Noise that is the same for every image."""

import numpy as np
from numpy.typing import NDArray

from seedmint.models.noise import MAX_Z_DIM, noise
from seedmint.service.importer.options import NoiseMode

MAX_NOISE_VALUES = 32 << 20  # of one input: four times the largest noise map of a 2048x2048 generator


def constant_noise(count: int, mode: NoiseMode) -> NDArray[np.float32]:
    """Return float32[count]: zeros, or one draw from N(0, 1) that never changes.

    Args:
        count: Number of values.
        mode: `zero` or `fixed`.
    """
    if mode == "zero":
        return np.zeros(count, np.float32)
    seeds = np.arange(-(-count // MAX_Z_DIM), dtype=np.int64)
    return noise("philox-normal-v1", MAX_Z_DIM, seeds).ravel()[:count]

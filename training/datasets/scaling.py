"""Samples in their own units <-> samples as the networks see them: each column with mean 0 and standard deviation 1."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEPS = 4096
"""About how many steps of the resolution a standard deviation is."""

MOST_STEPS = 1 << 24
"""Whole numbers up to here are exact in float32."""


@dataclass(frozen=True)
class Scaling:
    """Mean, standard deviation and resolution of each column or channel, in the data's units; all exact in float32.

    What is generated is rounded to whole multiples of the resolution, as images are to grey levels, so that the last bits of a
    sum, which depend on machine and batch, do not show.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    resolution: tuple[float, ...]

    def standardised(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(x - mean) / std of each column, the last axis; float32 of the same shape."""
        mean, std = np.array([self.mean, self.std], np.float32)
        scaled: NDArray[np.float32] = (samples - mean) / std
        return scaled


def scaling_of(samples: NDArray[np.float32]) -> Scaling:
    """The scaling of samples: float32[n, columns] or float32[n, length, channels].

    The resolution is a power of two: std / 4096, rounded down to one; coarser where float32 does not reach so far, and at least
    1 where all values are whole numbers.
    """
    columns = samples.reshape(-1, samples.shape[-1]).astype(np.float64)
    mean, std = columns.mean(axis=0).astype(np.float32), columns.std(axis=0).astype(np.float32)
    largest, whole = np.abs(columns).max(axis=0), (columns == np.rint(columns)).all(axis=0)
    resolution = [_resolution(float(s), float(m), bool(w)) for s, m, w in zip(std, largest, whole, strict=True)]
    return Scaling(tuple(mean.tolist()), tuple(std.tolist()), tuple(resolution))


def _resolution(std: float, largest: float, whole: bool) -> float:
    finest = max(std / STEPS, 4 * largest / MOST_STEPS, 2.0**-126)  # room for values beyond the data's largest
    power = 2.0 ** math.floor(math.log2(finest))
    return max(power, 1.0) if whole else power

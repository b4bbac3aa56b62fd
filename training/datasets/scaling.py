"""Standardization of samples: the networks work with columns of mean 0 and standard deviation 1."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNITS_PER_STD = 4096
"""Approximate number of rounding units in one standard deviation."""

MAX_UNITS = 1 << 24
"""Largest absolute value of a sample in rounding units: float32 represents all integers up to this number exactly."""


@dataclass(frozen=True)
class Scaling:
    """Mean, standard deviation and resolution of each column or channel, in the units of the data; all exact in float32.

    Generated samples are rounded to multiples of the resolution (the rounding unit), as images are rounded to gray levels. The
    rounding hides the last bits of a sum, which depend on the machine and the batch.

    Attributes:
        mean: Mean of each column.
        std: Standard deviation of each column.
        resolution: Rounding unit of each column of generated samples, a power of two.
        low: Smallest value of each column of generated samples; None without limits.
        high: Largest value of each column of generated samples; None without limits.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    resolution: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    def standardize(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (x - mean) / std.

        Args:
            samples: float32[..., columns].

        Returns:
            float32 of the same shape.
        """
        mean, std = np.array([self.mean, self.std], np.float32)
        scaled: NDArray[np.float32] = (samples - mean) / std
        return scaled


def scaling_of(samples: NDArray[np.float32], is_limited: bool = False) -> Scaling:
    """Return the scaling of a data set.

    The resolution is std / 4096, rounded down to a power of two. It is coarser if float32 requires it, and at least 1 if all
    values are integers.

    Args:
        samples: float32[n, columns] or float32[n, length, channels]; NaN is a missing value.
        is_limited: Whether generated samples stay within the range of the data.
    """
    columns = samples.reshape(-1, samples.shape[-1]).astype(np.float64)
    if np.isnan(columns).any():
        parts = [scaling_of(column[~np.isnan(column), None].astype(np.float32), is_limited) for column in columns.T]
        fields = ("mean", "std", "resolution", *(("low", "high") if is_limited else ()))
        return Scaling(*(tuple(getattr(part, field)[0] for part in parts) for field in fields))
    mean, std = columns.mean(axis=0).astype(np.float32), columns.std(axis=0).astype(np.float32)
    largest, is_integer = np.abs(columns).max(axis=0), (columns == np.rint(columns)).all(axis=0)
    resolution = [_resolution(float(s), float(m), bool(i)) for s, m, i in zip(std, largest, is_integer, strict=True)]
    if not is_limited:
        return Scaling(tuple(mean.tolist()), tuple(std.tolist()), tuple(resolution))
    low, high = columns.min(axis=0), columns.max(axis=0)
    return Scaling(tuple(mean.tolist()), tuple(std.tolist()), tuple(resolution), tuple(low.tolist()), tuple(high.tolist()))


def scaling_of_values(document: dict[str, Any]) -> Scaling:
    """Return a scaling from JSON values, as `dataclasses.asdict` gives them.

    Args:
        document: The fields; absent limits are None.
    """
    fields: dict[str, Any] = {field: None if values is None else tuple(values) for field, values in document.items()}
    return Scaling(**fields)


def _resolution(std: float, largest: float, is_integer: bool) -> float:
    finest = max(std / UNITS_PER_STD, 4 * largest / MAX_UNITS, 2.0**-126)  # generated values can exceed the data's largest
    power = 2.0 ** math.floor(math.log2(finest))
    return max(power, 1.0) if is_integer else power

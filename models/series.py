"""Series of different lengths: the length of each series, and the series without the values after their ends."""

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import SampleOutput


def series_lengths(samples: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the number of steps of each series, int64[n]: the steps up to the last one with a value.

    Args:
        samples: float32[n, length, channels], NaN after the end of a series.
    """
    has_value = ~np.isnan(samples).all(axis=2)
    steps = np.arange(1, samples.shape[1] + 1)
    lengths: NDArray[np.int64] = (has_value * steps).max(axis=1).astype(np.int64)
    return lengths


def cut_series(output: SampleOutput, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return samples without the steps after the end of a series: n arrays, float32[columns] or float32[length, channels].

    Args:
        output: The output in the card of the generator.
        samples: float32[n, *shape].
    """
    if not output.has_lengths:
        return list(samples)
    return [sample[:length] for sample, length in zip(samples, series_lengths(samples).tolist(), strict=True)]


def is_valid(output: SampleOutput, samples: NDArray[np.float32]) -> bool:
    """Return whether all values are finite, except that values after the ends of series of different lengths are NaN.

    Args:
        output: The output in the card of the generator.
        samples: float32[n, *shape].
    """
    if not output.has_lengths:
        return bool(np.isfinite(samples).all())
    assert output.series is not None
    assert output.series.lengths is not None
    lengths = series_lengths(samples)
    is_inside = np.arange(samples.shape[1]) < lengths[:, None]
    is_known = np.isfinite(samples).all(axis=2)
    return bool((is_known == is_inside).all() and (lengths >= output.series.lengths[0]).all())

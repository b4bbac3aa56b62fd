"""Latent walks: interpolates between two latent vectors, with the same float32 values on every machine.

For the uniform prior, the path is a straight line. For the normal prior, whose mass is near a sphere, the direction follows the
great circle (Shoemake, 1985; White, "Sampling Generative Networks", 2016), and the length changes linearly.

The sine function differs between mathematics libraries. Therefore mpmath computes the two weights of each frame with 320-bit
integer arithmetic, and rounds each weight once. The two products and the sum are float64, which IEEE 754 defines exactly.
"""

import mpmath
import numpy as np
from numpy.typing import NDArray

_EXACT = mpmath.MPContext()
# The quantiles of the prior are multiples of 2^-40 below 8. Sums of 4,096 products of them, and products of two such sums, need
# less than 200 bits. Therefore the test whether two vectors are parallel is exact.
_EXACT.prec = 320


def walk(rule: str, start: NDArray[np.float32], end: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Return z of each frame.

    Args:
        rule: A noise rule of `seedmint.models.noise`.
        start: float32[z_dim], z of the first frame.
        end: float32[z_dim], z of the last frame.
        frames: Number of frames, at least 2.

    Returns:
        float32[frames, z_dim]. The first and last rows equal `start` and `end` exactly. Before rounding to float32, the error
        is a few 1e-16 of the length of z, divided by the sine of the angle.
    """
    weights = _great_circle_weights(start, end, frames) if rule == "philox-normal-v1" else _line_weights(frames)
    z = weights[:, :1] * start.astype(np.float64) + weights[:, 1:] * end.astype(np.float64)
    return z.astype(np.float32)


def _line_weights(frames: int) -> NDArray[np.float64]:
    """Return the weights of `start` and `end` in each frame: float64[frames, 2]."""
    steps = np.arange(frames, dtype=np.float64)
    return np.stack([steps[::-1], steps], axis=1) / (frames - 1)


def _great_circle_weights(start: NDArray[np.float32], end: NDArray[np.float32], frames: int) -> NDArray[np.float64]:
    """Return the weights of `start` and `end` in each frame: float64[frames, 2]."""
    a, b = start.tolist(), end.tolist()
    aa, bb, ab = _EXACT.fdot(a, a), _EXACT.fdot(b, b), _EXACT.fdot(a, b)
    area = _EXACT.sqrt(aa * bb - ab * ab)  # of the parallelogram between the two vectors
    if area == 0:  # parallel or opposite vectors have no unique great circle
        return _line_weights(frames)
    angle = _EXACT.atan2(area, ab)
    ratio = _EXACT.sqrt(bb / aa)
    weights = []
    for k in range(frames):
        t = _EXACT.mpf(k) / (frames - 1)
        length = (
            ((1 - t) + t * ratio) * _EXACT.sqrt(aa * bb) / area
        )  # in units of the length of `start`, divided by the sine of the angle
        weights.append((length * _EXACT.sin((1 - t) * angle), length / ratio * _EXACT.sin(t * angle)))
    return np.array(weights, dtype=np.float64)

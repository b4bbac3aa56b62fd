"""Walks through latent space: from one z to another, the same float32 values on every machine.

Along a straight line for the uniform prior. For the normal prior, whose mass lies near a sphere, along the great circle between
the directions of the two (Shoemake, 1985; White, "Sampling Generative Networks", 2016), while the length goes evenly from the
one's to the other's.

No mathematics library's sine is asked: the two weights of each frame come from mpmath, in whole-number arithmetic of 320 bits,
and are rounded once. What is left is a product, a product and a sum of float64, which IEEE 754 fixes to the bit.
"""

import mpmath
import numpy as np
from numpy.typing import NDArray

_EXACT = mpmath.MPContext()
# The prior's quantiles are whole multiples of 2^-40, less than 8: sums of 4,096 of their products, and products of two such
# sums, take less than 200 bits. So whether two z are parallel is known, not guessed.
_EXACT.prec = 320


def walk(rule: str, start: NDArray[np.float32], end: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """The z of each frame.

    Args:
        rule: a noise rule of `seedmint.models.noise`.
        start: float32[z_dim], the first frame's z.
        end: float32[z_dim], the last frame's.
        frames: at least 2.

    Returns:
        float32[frames, z_dim]; the first and last are `start` and `end` to the bit. Rounded from values that are right to a few
        1e-16 of z's length, divided by the sine of the angle.
    """
    weights = _circle(start, end, frames) if rule == "philox-normal-v1" else _line(frames)
    z = weights[:, :1] * start.astype(np.float64) + weights[:, 1:] * end.astype(np.float64)
    return z.astype(np.float32)


def _line(frames: int) -> NDArray[np.float64]:
    steps = np.arange(frames, dtype=np.float64)
    return np.stack([steps[::-1], steps], axis=1) / (frames - 1)


def _circle(start: NDArray[np.float32], end: NDArray[np.float32], frames: int) -> NDArray[np.float64]:
    """float64[frames, 2]: how much of either end is in each frame."""
    a, b = start.tolist(), end.tolist()
    aa, bb, ab = _EXACT.fdot(a, a), _EXACT.fdot(b, b), _EXACT.fdot(a, b)
    area = _EXACT.sqrt(aa * bb - ab * ab)  # of the parallelogram of the two
    if area == 0:  # the same direction, or the opposite one, to which no great circle leads rather than another
        return _line(frames)
    angle = _EXACT.atan2(area, ab)
    ratio = _EXACT.sqrt(bb / aa)
    weights = []
    for k in range(frames):
        t = _EXACT.mpf(k) / (frames - 1)
        length = ((1 - t) + t * ratio) * _EXACT.sqrt(aa * bb) / area  # in lengths of `start`, over the sine of the angle
        weights.append((length * _EXACT.sin((1 - t) * angle), length / ratio * _EXACT.sin(t * angle)))
    return np.array(weights, dtype=np.float64)

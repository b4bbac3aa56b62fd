"""Samples of known laws: a Gaussian, a ring of Gaussians, damped sines. As many as wanted, and the same on every machine.

Random numbers are raw words of Philox, normal ones by the noise rule's table; what a machine's mathematics library computes is
rounded far above its last bits. So a data set's digest is the same everywhere.
"""

import hashlib
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seedmint.models.noise import table
from seedmint.training.datasets.dataset import Dataset

Split = Literal["train", "test"]

GAUSSIAN_MEAN, GAUSSIAN_STD = 4.0, 1.25

RING_RADIUS, RING_STD = 2.0, 0.02
_DIAGONAL = math.sqrt(0.5)
RING_MODES = RING_RADIUS * np.array(
    [
        *[(1, 0), (_DIAGONAL, _DIAGONAL), (0, 1), (-_DIAGONAL, _DIAGONAL)],
        *[(-1, 0), (-_DIAGONAL, -_DIAGONAL), (0, -1), (_DIAGONAL, -_DIAGONAL)],
    ]
)
"""float64[8, 2]: centres, counter-clockwise from (2, 0). Radius and width as in Metz et al., Unrolled GANs (2017)."""

SINES_LENGTH = 64
_GRAIN = 2.0**-16

_COUNTS: dict[Split, int] = {"train": 50_000, "test": 10_000}


def load_generated(name: str, split: Split) -> Dataset:
    """One split of `gaussian-1d`, `ring-2d` or `sines`: 50,000 samples to train on, 10,000 to measure against."""
    words = np.random.Philox(key=_key(f"{name} {split}")).random_raw(4 * _COUNTS[split]).reshape(-1, 4)
    return _LAWS[name](words, name if split == "train" else f"{name} {split} set")


def _gaussian(words: NDArray[np.uint64], name: str) -> Dataset:
    """N(4, 1.25^2), in one column x."""
    values = np.float32(GAUSSIAN_MEAN) + np.float32(GAUSSIAN_STD) * _normal(words[:, 0])
    return Dataset(name, values[:, :1], None, None, "CC0-1.0", ("x",))


def _ring(words: NDArray[np.uint64], name: str) -> Dataset:
    """Eight Gaussians of standard deviation 0.02 around the points of `RING_MODES`, all as likely; labelled by the point."""
    mode = (words[:, 1] >> np.uint64(61)).astype(np.int64)
    values = RING_MODES.astype(np.float32)[mode] + np.float32(RING_STD) * _normal(words[:, 0])[:, :2]
    return Dataset(name, values, mode, tuple("01234567"), "CC0-1.0", ("x", "y"))


def _sines(words: NDArray[np.uint64], name: str) -> Dataset:
    """exp(-d t) sin(2 pi (f t + p)) at t = 0, 1/64, ..., 63/64; d uniform in [0, 3), f in [1, 4) and p in [0, 1)."""
    damping, frequency, phase = (_uniform(words[:, i])[:, None] for i in range(3))
    t = np.arange(SINES_LENGTH) / SINES_LENGTH
    values = np.exp(-3 * damping * t) * np.sin(2 * np.pi * ((1 + 3 * frequency) * t + phase))
    values = np.rint(values / _GRAIN) * _GRAIN
    return Dataset(name, values.astype(np.float32)[:, :, None], None, None, "CC0-1.0", ("x",))


_LAWS: dict[str, Callable[[NDArray[np.uint64], str], Dataset]] = {"gaussian-1d": _gaussian, "ring-2d": _ring, "sines": _sines}

GENERATED = tuple(_LAWS)


def _key(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def _normal(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """float32[n, 4]: standard normal, four of each word."""
    numbers = words[:, None].astype("<u8").view("<u2")
    normal: NDArray[np.float32] = table("philox-normal-v1")[numbers]
    return normal


def _uniform(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """float64[n] in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53

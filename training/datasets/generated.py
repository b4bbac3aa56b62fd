"""Samples of known distributions: a Gaussian, a ring of Gaussians, damped sines. They are the same on every machine.

The random numbers are raw words of Philox; normal numbers come from the noise rule's table. The results of exp and sin are
rounded to multiples of 2^-16, because their last bits depend on the machine's mathematics library.
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
"""float64[8, 2]: the centers, counterclockwise from (2, 0). Radius and width as in Metz et al., 2017 (Unrolled GANs)."""

SINES_LENGTH = 64
_SINES_RESOLUTION = 2.0**-16

_COUNTS: dict[Split, int] = {"train": 50_000, "test": 10_000}


def load_generated(name: str, split: Split) -> Dataset:
    """Return one split of a generated source.

    Args:
        name: `gaussian-1d`, `ring-2d` or `sines`.
        split: `train`, 50,000 samples, or `test`, 10,000 samples.
    """
    words = np.random.Philox(key=_key(f"{name} {split}")).random_raw(4 * _COUNTS[split]).reshape(-1, 4)
    return _SOURCES[name](words, name if split == "train" else f"{name} {split} set")


def _gaussian(words: NDArray[np.uint64], name: str) -> Dataset:
    """One column x with distribution N(4, 1.25^2)."""
    values = np.float32(GAUSSIAN_MEAN) + np.float32(GAUSSIAN_STD) * _normal(words[:, 0])
    return Dataset(name, values[:, :1], None, None, "CC0-1.0", ("x",))


def _ring(words: NDArray[np.uint64], name: str) -> Dataset:
    """Eight equally probable Gaussians of standard deviation 0.02 around `RING_MODES`; the label is the mode."""
    mode = (words[:, 1] >> np.uint64(61)).astype(np.int64)
    values = RING_MODES.astype(np.float32)[mode] + np.float32(RING_STD) * _normal(words[:, 0])[:, :2]
    return Dataset(name, values, mode, tuple("01234567"), "CC0-1.0", ("x", "y"))


def _sines(words: NDArray[np.uint64], name: str) -> Dataset:
    """exp(-d t) sin(2 pi (f t + p)) at t = 0, 1/64, ..., 63/64; d uniform in [0, 3), f in [1, 4) and p in [0, 1)."""
    damping, frequency, phase = (_uniform(words[:, i])[:, None] for i in range(3))
    t = np.arange(SINES_LENGTH) / SINES_LENGTH
    values = np.exp(-3 * damping * t) * np.sin(2 * np.pi * ((1 + 3 * frequency) * t + phase))
    values = np.rint(values / _SINES_RESOLUTION) * _SINES_RESOLUTION
    return Dataset(name, values.astype(np.float32)[:, :, None], None, None, "CC0-1.0", ("x",))


_SOURCES: dict[str, Callable[[NDArray[np.uint64], str], Dataset]] = {
    "gaussian-1d": _gaussian,
    "ring-2d": _ring,
    "sines": _sines,
}

GENERATED_SOURCES = tuple(_SOURCES)


def _key(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def _normal(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return standard normal numbers, float32[n, 4]: four numbers from each word."""
    numbers = words[:, None].astype("<u8").view("<u2")
    normal: NDArray[np.float32] = table("philox-normal-v1")[numbers]
    return normal


def _uniform(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return float64[n] in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53

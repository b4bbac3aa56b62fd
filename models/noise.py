"""Noise rules: seed -> z, and label rules: seed -> label. They never change; docs/noise-rule.md specifies them.

A seed owns `blocks = ceil(z_dim / 16)` blocks of the Philox4x64-10 stream with key 0, starting at block `seed * blocks`. Each
block has four 64-bit words, and each word has four 16-bit numbers, lowest first. z_i = table[number_i]: the table has the
65,536 quantiles of the prior at (i + 1/2) / 65536 as float32. Therefore z depends only on the rule, z_dim and the seed, and not
on the batch, the machine or its mathematics library.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from seedmint.models import philox
from seedmint.models.seeds import SEED_LIMIT

MAX_Z_DIM = 4096
MAX_TOTAL_WEIGHT = (1 << 32) - 1
"""Largest sum of the weights of all classes. The probability of a class differs from its share by less than 2**-32."""

_LEVELS = 65536
_NUMBERS_PER_BLOCK = 16


def _uniform(probability: float) -> float:
    """Return the quantile of the uniform distribution with mean 0 and variance 1."""
    return math.sqrt(3.0) * (2.0 * probability - 1.0)


# rule -> quantile function of the prior, SHA-256 of the table as little-endian float32
_QUANTILES: dict[str, tuple[Callable[[float], float], str]] = {
    "philox-normal-v1": (NormalDist().inv_cdf, "1cfbba1e07e34386a57626f82aeb43e6ed54ba70a3ea6b7d964dc66a841074a8"),
    "philox-uniform-v1": (_uniform, "986c951f8055ab024d2952f0f843da1cc8c23ce9683fb5d237fd31944ed3e86c"),
}
NOISE_RULES = tuple(_QUANTILES)


@cache
def table(rule: str) -> NDArray[np.float32]:
    """Return the quantiles of the prior at (i + 1/2) / 65536.

    Args:
        rule: One of `NOISE_RULES`.

    Returns:
        float32[65536], read-only.

    Raises:
        ValueError: The rule is unknown.
        RuntimeError: The quantiles of this machine differ from the published ones, so its images would differ too.
    """
    if rule not in _QUANTILES:
        raise ValueError(f"noise rule {rule!r} is unknown (known: {', '.join(NOISE_RULES)})")
    quantile, published = _QUANTILES[rule]
    values = np.array([quantile((i + 0.5) / _LEVELS) for i in range(_LEVELS)], dtype=np.float32)
    if hashlib.sha256(values.astype("<f4").tobytes()).hexdigest() != published:
        raise RuntimeError(f"the table of {rule} on this machine differs from the published table")
    values.flags.writeable = False
    return values


def noise(rule: str, z_dim: int, seeds: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return z of each seed.

    Args:
        rule: One of `NOISE_RULES`.
        z_dim: Length of z, 1 to `MAX_Z_DIM`.
        seeds: int64[n], each 0 <= seed < 2**63, in any order. Consecutive seeds are fastest.

    Returns:
        float32[n, z_dim] with mean 0 and variance 1.

    Raises:
        ValueError: The rule is unknown, or z_dim or a seed is out of range.
    """
    if not 1 <= z_dim <= MAX_Z_DIM:
        raise ValueError(f"z_dim must be 1 to {MAX_Z_DIM}, not {z_dim}")
    quantiles = table(rule)
    blocks = -(-z_dim // _NUMBERS_PER_BLOCK)
    words = _words(0, seeds, blocks)
    numbers = words.astype("<u8", copy=False).view("<u2")[:, :z_dim]
    z: NDArray[np.float32] = quantiles.take(numbers)  # in half the time of an index
    return z


def labels_of(seeds: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the label of each seed by the rule labels-v1: word `seed` of the stream with key 1, modulo the number of classes.

    Args:
        seeds: int64[n], each 0 <= seed < 2**63.
        classes: Number of classes, at least 1.

    Returns:
        int64[n], 0 <= label < classes.

    Raises:
        ValueError: A seed is out of range, or there are no classes.
    """
    if classes < 1:
        raise ValueError(f"classes must be at least 1, not {classes}")
    return (_label_words(seeds) % np.uint64(classes)).astype(np.int64)


@dataclass(frozen=True)
class LabelRule:
    """Maps seeds to labels: by labels-v2 with weights, by labels-v1 without.

    labels-v2: let T be the sum of the weights and r be word `seed` of the stream with key 1, modulo T. The label is the first
    class for which the sum of the weights up to and including this class exceeds r.

    Attributes:
        classes: Number of classes, at least 1.
        weights: Weight of each class, integers of at least 0 with a sum of 1 to `MAX_TOTAL_WEIGHT`; None for equal classes.

    Raises:
        ValueError: The weights are wrong.
    """

    classes: int
    weights: Sequence[int] | None = None
    _limits: NDArray[np.uint64] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.weights is None:
            return
        total = sum(self.weights)
        if len(self.weights) != self.classes or min(self.weights) < 0 or not 1 <= total <= MAX_TOTAL_WEIGHT:
            raise ValueError(f"{self.classes} weights of at least 0 must add up to 1 to {MAX_TOTAL_WEIGHT}")
        object.__setattr__(self, "_limits", np.cumsum(np.array(self.weights, dtype=np.uint64)))

    def labels(self, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the label of each seed.

        Args:
            seeds: int64[n], each 0 <= seed < 2**63.

        Returns:
            int64[n], 0 <= label < classes.

        Raises:
            ValueError: A seed is out of range.
        """
        if self._limits is None:
            return labels_of(seeds, self.classes)
        rests = _label_words(seeds) % self._limits[-1]
        labels: NDArray[np.int64] = np.searchsorted(self._limits, rests, side="right").astype(np.int64)
        return labels

    def labels_among(self, seeds: NDArray[np.int64], classes: Sequence[int]) -> NDArray[np.int64]:
        """Return the label of each seed among chosen classes: by labels-v2, with the weight 0 for all other classes.

        Without weights, each chosen class has the weight 1; also if the weights of all chosen classes are 0.

        Args:
            seeds: int64[n], each 0 <= seed < 2**63.
            classes: Numbers of the chosen classes, at least one, in any order.

        Returns:
            int64[n], each one of `classes`.

        Raises:
            ValueError: A seed is out of range.
        """
        numbers = np.unique(np.array(classes, np.int64))
        weights = np.array([1 if self.weights is None else self.weights[number] for number in numbers], np.uint64)
        limits = np.cumsum(weights if weights.any() else np.ones_like(weights))
        chosen: NDArray[np.int64] = numbers[np.searchsorted(limits, _label_words(seeds) % limits[-1], side="right")]
        return chosen


def _label_words(seeds: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return word `seed` of the stream with key 1 for each seed, uint64[n]."""
    if _are_consecutive(seeds):
        first, skipped = divmod(int(seeds[0]), 4)
        blocks = -(-(skipped + len(seeds)) // 4)
        return philox.run(1, first, blocks)[skipped : skipped + len(seeds)]
    words = _words(1, seeds >> 2, 1)
    return np.take_along_axis(words, (seeds & 3)[:, None], axis=1)[:, 0]


def _words(key: int, seeds: NDArray[np.int64], blocks: int) -> NDArray[np.uint64]:
    """Return the words of the blocks that each seed owns: uint64[n, 4 * blocks]."""
    if _are_consecutive(seeds):
        return philox.run(key, int(seeds[0]) * blocks, len(seeds) * blocks).reshape(len(seeds), 4 * blocks)
    if len(seeds) == 0:
        return np.empty((0, 4 * blocks), dtype=np.uint64)
    return philox.scattered(key, seeds.astype(np.uint64), blocks, blocks)


def _are_consecutive(seeds: NDArray[np.int64]) -> bool:
    """Check seeds, and return whether there are seeds and they are consecutive.

    Raises:
        ValueError: A seed is out of range.
    """
    if seeds.ndim != 1 or seeds.dtype != np.int64:
        raise ValueError(f"seeds must be int64[n], but are {seeds.dtype}{list(seeds.shape)}")
    if len(seeds) == 0:
        return False
    first, last = int(seeds[0]), int(seeds[-1])
    if first >= 0 and last - first == len(seeds) - 1 and (seeds[1:] - seeds[:-1] == 1).all():
        return True
    if int(seeds.min()) < 0:
        raise ValueError(f"seed {seeds.min()} is out of range: 0 <= seed < {SEED_LIMIT}")
    return False

"""Words of the Philox4x64-10 stream (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).

The stream is the output of `numpy.random.Philox(key=key).random_raw()`, which NumPy guarantees never to change. NumPy
increments the 256-bit counter before each block, so that block b (words 4b to 4b + 3) is Philox4x64-10 of the counter b + 1.

One call of NumPy computes consecutive blocks. For scattered blocks, setting the state of NumPy's generator would cost
microseconds each time, so this module computes them with array arithmetic. Tests compare the two.
"""

import threading
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_WORD = (1 << 64) - 1
_CHUNK = 4096  # blocks at a time: enough to hide the cost of NumPy calls, few enough for the CPU cache
_VECTORISE_FROM = 96  # for fewer separate runs, setting the state of NumPy's generator is faster


class _SeekableGenerator:
    """NumPy's generator for one key. It jumps to a block by setting the counter in its state."""

    def __init__(self, key: int) -> None:
        self._lock = threading.Lock()
        self._generator = np.random.Philox(key=key)
        self._state = self._generator.state  # the buffer is empty: the next word starts a block
        self._counter = self._state["state"]["counter"]

    def run(self, first: int, count: int) -> NDArray[np.uint64]:
        with self._lock:
            self._counter[0], self._counter[1] = first & _WORD, first >> 64
            self._generator.state = self._state
            return self._generator.random_raw(4 * count)


@cache
def _generator(key: int) -> _SeekableGenerator:
    return _SeekableGenerator(key)


def run(key: int, first: int, count: int) -> NDArray[np.uint64]:
    """Return the words of consecutive blocks.

    Args:
        key: Low 64 bits of the Philox key.
        first: Number of the first block, 0 <= first < 2**128.
        count: Number of blocks.

    Returns:
        uint64[4 * count].
    """
    return _generator(key).run(first, count)


def scattered(key: int, firsts: NDArray[np.uint64], width: int, count: int) -> NDArray[np.uint64]:
    """Return the words of several runs of consecutive blocks. Run i starts at block firsts[i] * width.

    Args:
        key: Low 64 bits of the Philox key.
        firsts: uint64[n].
        width: Factor from `firsts` to block numbers, 1 <= width < 2**32.
        count: Blocks in each run.

    Returns:
        uint64[n, 4 * count].
    """
    if len(firsts) < _VECTORISE_FROM:
        runs = [run(key, int(first) * width, count) for first in firsts]
        return np.stack(runs) if runs else np.empty((0, 4 * count), dtype=np.uint64)
    out = np.empty((len(firsts), count, 4), dtype=np.uint64)
    step = max(1, _CHUNK // count)
    for start in range(0, len(firsts), step):
        chunk = firsts[start : start + step]
        high, low = _multiply(chunk, width)
        offset = np.arange(1, count + 1, dtype=np.uint64)
        counters = low[:, None] + offset
        carries = high[:, None] + (counters < offset)
        words = _philox(counters.ravel(), carries.ravel(), key)
        block = out[start : start + step]
        for position, word in enumerate(words):
            block[:, :, position] = word.reshape(counters.shape)
    return out.reshape(len(firsts), 4 * count)


def _philox(counter0: NDArray[np.uint64], counter1: NDArray[np.uint64], key: int) -> Sequence[NDArray[np.uint64]]:
    """Compute ten Philox rounds on counters whose two high words are zero. Return the four words of each block."""
    zero = np.zeros_like(counter0)
    x0, x1, x2, x3 = counter0, counter1, zero, zero
    for r in range(10):
        key0 = np.uint64((key + r * _WEYL[0]) & _WORD)
        key1 = np.uint64((r * _WEYL[1]) & _WORD)
        high0, low0 = _multiply(x0, _MULTIPLIERS[0])
        high1, low1 = _multiply(x2, _MULTIPLIERS[1])
        high1 ^= x1
        high1 ^= key0
        high0 ^= x3
        high0 ^= key1
        x0, x1, x2, x3 = high1, low1, high0, low0
    return x0, x1, x2, x3


def _multiply(a: NDArray[np.uint64], b: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the high and low 64 bits of the 128-bit products a * b, computed from 32-bit halves."""
    b_high, b_low = np.uint64(b >> 32), np.uint64(b & 0xFFFFFFFF)
    a_high, a_low = a >> _HALF, a & _MASK
    carry = a_low * b_low
    carry >>= _HALF
    middle = a_high * b_low
    middle += carry
    a_low *= b_high
    a_low += middle & _MASK
    a_low >>= _HALF
    middle >>= _HALF
    a_high *= b_high
    a_high += middle
    a_high += a_low
    return a_high, a * np.uint64(b)

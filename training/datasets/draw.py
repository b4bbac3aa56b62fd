"""The draw `draw-v1`: a fixed pseudorandom order of the rows of a data set, which depends on their contents only.

Files often hold one class after the other, so the first rows, or every n-th row, are no fair sample. The draw sorts rows by the
BLAKE2b hash of their bytes. Equal rows get different hashes by their count. Therefore any order of the same rows in a file
gives the same draw, and each first part of the draw is a random subset.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

NAME = "draw-v1"
"""Name of the draw, for protocols."""

_PERSON = b"seedmint-draw-v1"


def draw_order(values: NDArray[np.generic], labels: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the rows in the order of the draw.

    Args:
        values: [n, ...], any numbers.
        labels: int64[n], part of the content of a row; None without labels.

    Returns:
        int64[n], a permutation.
    """
    keys, counts = np.empty(len(values), np.uint64), dict[bytes, int]()
    little = values.dtype.newbyteorder("<")
    for i, row in enumerate(values):
        content = row.astype(little, copy=False).tobytes()
        if labels is not None:
            content += int(labels[i]).to_bytes(8, "little", signed=True)
        digest = _hash(content)
        count = counts.get(digest, 0)
        counts[digest] = count + 1
        if count:
            digest = _hash(digest + count.to_bytes(8, "little"))
        keys[i] = int.from_bytes(digest[:8], "little")
    return np.argsort(keys, kind="stable")


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16, person=_PERSON).digest()

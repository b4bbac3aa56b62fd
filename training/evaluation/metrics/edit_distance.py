"""Levenshtein distances of strings to the closest strings of a list, with rapidfuzz."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK = 64  # strings whose distances to all others are in memory together


def closest_strings(strings: Sequence[str], others: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the smallest number of insertions, deletions and substitutions that turn each string into one of a list.

    Args:
        strings: n strings.
        others: The list, at least one string.

    Returns:
        The distances, float64[n], and the rows of the closest strings, int64[n], the first of equally close ones.
    """
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    distances, rows = np.empty(len(strings)), np.empty(len(strings), np.int64)
    for start in range(0, len(strings), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = cdist(strings[part], others, scorer=Levenshtein.distance, dtype=np.uint16)
        rows[part] = block.argmin(axis=1)
        distances[part] = block.min(axis=1)
    return distances, rows

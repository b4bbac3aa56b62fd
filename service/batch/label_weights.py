"""Labels by weights: how often each label occurs, spread evenly over the images."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

MAX_PERIOD = 10_000_000  # images after which the sequence of labels repeats


def label_sequence(weights: Mapping[int, int]) -> NDArray[np.int64]:
    """Return the sequence of labels, which repeats. Every part of the sequence has each label in nearly its share.

    Label c occurs n_c times, where n_c is its weight divided by the greatest common divisor of all weights. Its k-th occurrence
    is at (k + 1/2) / n_c of the sequence; the order of these numbers, then of the labels, gives the sequence.

    Args:
        weights: Label -> weight, at least 1.

    Returns:
        int64[sum of n_c].
    """
    return _sequence(tuple(sorted(weights.items())))


def period(weights: Mapping[int, int]) -> int:
    """Return the length of the sequence.

    Args:
        weights: Label -> weight.
    """
    return sum(weights.values()) // math.gcd(*weights.values())


def counts(weights: Mapping[int, int], count: int) -> dict[int, int]:
    """Return how often each label occurs in the first images of the sequence.

    Args:
        weights: Label -> weight.
        count: Number of images.
    """
    sequence = label_sequence(weights)
    repeats, rest = divmod(count, len(sequence))
    return {
        label: repeats * int((sequence == label).sum()) + int((sequence[:rest] == label).sum()) for label in sorted(weights)
    }


@cache
def _sequence(weights: tuple[tuple[int, int], ...]) -> NDArray[np.int64]:
    divisor = math.gcd(*(weight for _, weight in weights))
    numbers = [weight // divisor for _, weight in weights]
    places = np.concatenate([(np.arange(number) + 0.5) / number for number in numbers])
    labels = np.repeat(np.array([label for label, _ in weights], np.int64), numbers)
    sequence: NDArray[np.int64] = labels[np.lexsort((labels, places))]
    sequence.flags.writeable = False
    return sequence

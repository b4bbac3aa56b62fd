"""The order of the seeds of a job: each seed has a position, from 0."""

from bisect import bisect_right
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from seedmint.models.seeds import Seeds


class SeedOrder:
    """The positions of seeds in a sequence of ranges.

    Attributes:
        count: Number of seeds.
    """

    def __init__(self, seeds: Seeds) -> None:
        """
        Args:
            seeds: The seeds in order. No seed occurs twice.
        """
        self._ranges = seeds.ranges
        self._starts = [0, *accumulate(r.stop - r.start for r in seeds.ranges)]  # position of the first seed of each range
        self.count = self._starts[-1]

    def between(self, start: int, stop: int) -> Seeds:
        """Return the seeds at consecutive positions.

        Args:
            start: First position.
            stop: Position after the last, at most `count`.
        """
        found = []
        for i in range(bisect_right(self._starts, start) - 1, len(self._ranges)):
            if self._starts[i] >= stop:
                break
            found.append(self._ranges[i][max(0, start - self._starts[i]) : stop - self._starts[i]])
        return Seeds(tuple(found))

    def positions(self, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position of each seed.

        Args:
            seeds: int64[n].

        Returns:
            int64[n]; -1 for other seeds.
        """
        order = sorted(range(len(self._ranges)), key=lambda i: self._ranges[i].start)
        ranges = [self._ranges[i] for i in order]
        firsts, lasts = np.array([r.start for r in ranges]), np.array([r.stop - 1 for r in ranges])
        starts = np.array([self._starts[i] for i in order])
        range_index = np.maximum(0, np.searchsorted(firsts, seeds, side="right") - 1)
        inside = (firsts[range_index] <= seeds) & (seeds <= lasts[range_index])
        return np.where(inside, starts[range_index] + seeds - firsts[range_index], -1)

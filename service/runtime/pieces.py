"""Seeds and labels in pieces that fit one run of a generator."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from seedmint.models.errors import UserError
from seedmint.models.seeds import Seeds
from seedmint.service.runtime.arrays import Labels, Piece
from seedmint.service.runtime.generator import Generator


def pieces(generator: Generator, seeds: Seeds, labels: int | Labels | None) -> Iterator[Piece]:
    """Seeds and labels in pieces of at most `generator.max_batch`.

    Args:
        labels: one for all, or int64[count], or None for those that the seeds name (none for an unconditional generator).
    """
    done = 0
    for part in seeds.chunks(generator.max_batch):
        if labels is None:
            yield part, generator.labels(part)
        elif isinstance(labels, int):
            yield part, np.full(len(part), labels, np.int64)
        else:
            yield part, labels[done : done + len(part)]
        done += len(part)


def check_distinct(seeds: Seeds, labels: int | Labels | None) -> None:
    """A zip or a directory names its files by label and seed, so that each pair may come once.

    Raises:
        UserError: a pair comes twice.
    """
    if labels is None or isinstance(labels, int):
        twice = any(a.stop > b.start for a, b in pairwise(sorted(seeds.ranges, key=lambda r: r.start)))
    else:
        values = seeds.array()
        order = np.lexsort((labels, values))
        twice = bool(np.any((np.diff(values[order]) == 0) & (np.diff(labels[order]) == 0)))
    if twice:
        raise UserError("a seed comes twice with the same label, and would be the same file twice; npz and npy can hold it")

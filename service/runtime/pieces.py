"""Splits seeds and labels into pieces of at most one batch."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from seedmint.models.errors import UserError
from seedmint.models.label_choice import ClassChoice
from seedmint.models.seeds import Seeds
from seedmint.service.runtime.arrays import Labels, Piece
from seedmint.service.runtime.generator import Generator


def pieces(generator: Generator, seeds: Seeds, labels: ClassChoice | Labels | None) -> Iterator[Piece]:
    """Yield seeds and labels in pieces of at most `generator.max_batch`.

    Args:
        generator: The generator.
        seeds: The seeds.
        labels: A choice of classes for all seeds, or int64[count]; None for the default labels, and for an unconditional
            generator.

    Yields:
        int64[n] and int64[n], or int64[n] and None for an unconditional generator.
    """
    start = 0
    for part in seeds.chunks(generator.max_batch):
        if isinstance(labels, np.ndarray):
            yield part, labels[start : start + len(part)]
        else:
            yield part, generator.labels(part, labels)
        start += len(part)


def check_distinct(seeds: Seeds, labels: ClassChoice | Labels | None) -> None:
    """Check that each pair of label and seed occurs once, because zips and directories name files by label and seed.

    Args:
        seeds: The seeds.
        labels: As for `pieces`.

    Raises:
        UserError: A pair occurs twice.
    """
    if not isinstance(labels, np.ndarray):
        is_repeated = any(a.stop > b.start for a, b in pairwise(sorted(seeds.ranges, key=lambda r: r.start)))
    else:
        values = seeds.array()
        order = np.lexsort((labels, values))
        is_repeated = bool(np.any((np.diff(values[order]) == 0) & (np.diff(labels[order]) == 0)))
    if is_repeated:
        message = "a seed occurs twice with the same label, and both would be the same file: use npz or npy"
        raise UserError(message, field="seeds", reason="duplicate_seed")

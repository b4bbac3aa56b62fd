"""Applies the filter of a plan to a shard: finds the images that the filter keeps."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seedmint.service.batch.classifier import opened
from seedmint.service.batch.filter_rule import FilterRule
from seedmint.service.batch.plan import Plan, Shard
from seedmint.service.runtime.arrays import Piece
from seedmint.service.runtime.generator import Generator

Mask = NDArray[np.bool_]


def accepted(generator: Generator, plan: Plan, shard: Shard) -> Mask | None:
    """Generate the images of a shard, and return which images the filter keeps.

    The images are generated again for the file, so that the memory does not grow with the shard.

    Args:
        generator: The generator of the shard.
        plan: The plan of the job.
        shard: The shard.

    Returns:
        bool[count], or None without a filter.

    Raises:
        UserError: The classifier of the plan is not available.
    """
    plan_filter = plan.generators[shard.generator].filter
    if plan_filter is None:
        return None
    classifier, rule = opened(plan_filter), FilterRule(plan_filter.rule)
    return np.concatenate(
        [
            rule.accepts(classifier.probabilities(generator.generate(seeds, labels, plan.truncation)), labels)
            for seeds, labels in plan.batches(shard, generator.max_batch)
        ]
    )


def pieces(plan: Plan, shard: Shard, mask: Mask | None, size: int) -> Iterator[Piece]:
    """Yield the seeds and labels of the kept images of a shard in batches.

    Args:
        plan: The plan of the job.
        shard: The shard.
        mask: bool[count], the kept images; None for all.
        size: Seeds in a batch. The last batch may have fewer.

    Yields:
        Seeds int64[n], and labels int64[n] or None for an unconditional generator.
    """
    if mask is None:
        yield from plan.batches(shard, size)
        return
    positions = np.flatnonzero(mask)
    for first in range(0, len(positions), size):
        part = positions[first : first + size]
        seeds = shard.seeds.array()[part]
        yield seeds, plan.labels_of(shard.start + part, seeds)

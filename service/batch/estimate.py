"""Estimates the size of a job from its first images or samples."""

from itertools import islice

from seedmint.models.errors import UserError
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.shard import CountingSink, shard_writer
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.generator import Generator

SAMPLE_SIZE = 256  # images or samples
_BLOCK_BYTES = 4096  # typical allocation unit of a file system


def estimate_bytes(generator: Generator, plan: Plan, count: int) -> int:
    """Estimate the size of some outputs of a plan.

    Args:
        generator: The generator of the plan.
        plan: The plan.
        count: Number of images or samples.

    Returns:
        Size in bytes. Format png: size of the file system blocks.
    """
    batches = list(islice(plan.batches(plan.shard(0), generator.max_batch), -(-SAMPLE_SIZE // generator.max_batch)))
    sampled = sum(len(seeds) for seeds, _ in batches)
    if plan.format == "png":
        size = 0
        for seeds, labels in batches:
            images = generator.generate(seeds, labels, plan.truncation)
            for png in pngs(generator, seeds, labels, images, plan.truncation):
                size += -(-len(png) // _BLOCK_BYTES) * _BLOCK_BYTES
        return size * count // sampled
    sink = CountingSink(None)
    writer = shard_writer(sink, generator, plan, sampled)
    for seeds, labels in batches:
        writer.add(seeds, labels, generator.generate(seeds, labels, plan.truncation))
    writer.finish()
    return sink.bytes * count // sampled


def check_free_space(output: Output, needed: int) -> None:
    """Check that a job fits in its output.

    Args:
        output: The output of the job.
        needed: Size in bytes of the files to write.

    Raises:
        UserError: The disk has less free space.
    """
    free = output.free()
    if free is not None and needed > free:
        raise UserError(
            f"{output.url} needs about {needed / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB are free: "
            f"use fewer seeds, or another disk",
            field="out",
            reason="no_space",
        )

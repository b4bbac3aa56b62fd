"""How large a job will be, by writing a few of its images."""

from itertools import islice

from seedmint.models.errors import UserError
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.shard import CountingSink, shard_writer
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.generator import Generator

TRIED = 256  # images
_BLOCK_BYTES = 4096  # what a file system takes for a file, at least


def bytes_of(generator: Generator, plan: Plan, images: int) -> int:
    """About the bytes that so many images of a plan take, by the size of its first few."""
    pieces = list(islice(plan.pieces(plan.shard(0), generator.max_batch), -(-TRIED // generator.max_batch)))
    tried = sum(len(seeds) for seeds, _ in pieces)
    if plan.format == "png":
        size = 0
        for seeds, labels in pieces:
            made = generator.generate(seeds, labels, plan.truncation)
            size += sum(
                -(-len(png) // _BLOCK_BYTES) * _BLOCK_BYTES for png in pngs(generator, seeds, labels, made, plan.truncation)
            )
        return size * images // tried
    sink = CountingSink(None)
    writer = shard_writer(sink, generator, plan, tried)
    for seeds, labels in pieces:
        writer.add(seeds, labels, generator.generate(seeds, labels, plan.truncation))
    writer.finish()
    return sink.bytes * images // tried


def check_room(output: Output, needed: int) -> None:
    """
    Raises:
        UserError: the disk has less room than the job will take.
    """
    free = output.free()
    if free is not None and needed > free:
        raise UserError(
            f"--out {output.url} would take about {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free there: "
            f"take fewer seeds, or another disk"
        )

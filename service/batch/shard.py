"""One shard: from a generator and a plan to its files, then its record. Every engine runs this and nothing else."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Generator as Suspended
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import IO

import numpy as np
from numpy.typing import NDArray

from seedmint.service.batch.formats import ShardWriter, Sink
from seedmint.service.batch.formats.arrays import ArrayWriter
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.plan import Plan, Shard
from seedmint.service.batch.png_folder import Listing, file_name
from seedmint.service.batch.readback import confirmed
from seedmint.service.batch.records import Record, write_record
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

Progress = Callable[[int], None]
Made = tuple[SeedArray, NDArray[np.int64] | None, Outputs]
_AHEAD = 2  # pieces made before they are written, at most: with those in hand, they are all the memory that a shard takes


def make_shard(generator: Generator, plan: Plan, index: int, output: Output, progress: Progress = lambda made: None) -> Record:
    """Make a shard, write it, then write its record: `write_shard`, and what it leaves to do."""
    return write_shard(generator, plan, index, output, progress)()


def write_shard(
    generator: Generator, plan: Plan, index: int, output: Output, progress: Progress = lambda made: None, threads: int = 0
) -> Callable[[], Record]:
    """Make and write a shard that is not there yet.

    Args:
        generator: that of `plan.model`.
        progress: told the number of images written, after each piece.
        threads: that generate while this one writes; with 0 it does both, which costs less where there is but one processor.

    Returns:
        a function, for any thread, that puts the shard in its place, synced or sent, and then writes its record.

    Raises:
        OSError, UserError: the output cannot be written; of both functions. Then there is no record.
    """
    shard = plan.shard(index)
    with ExitStack() as stack:
        pieces = _told(stack.enter_context(closing(_pieces(generator, plan, shard, threads))), progress)
        if plan.format == "png":
            size, sha256 = _write_files(stack.enter_context(output.write_many()), generator, plan, pieces)
        else:
            file = stack.enter_context(output.write(plan.file_name(index)))
            size, sha256 = _write_file(file, generator, plan, shard.count, pieces)
        unplaced = stack.pop_all()

    def finish() -> Record:
        unplaced.close()
        return _recorded(generator, plan, shard, output, size, sha256)

    return finish


def _recorded(generator: Generator, plan: Plan, shard: Shard, output: Output, size: int, sha256: str) -> Record:
    index = shard.index
    record = Record(
        shard=index,
        file=plan.file_name(index),
        seeds=str(shard.seeds),
        count=shard.count,
        bytes=size,
        sha256=sha256,
        model=plan.model,
        plan=plan.digest,
        determinism=generator.determinism,
    )
    write_record(output, record)
    return record if generator.determinism == "exact" else confirmed(output, plan, record)


def shard_writer(sink: Sink, generator: Generator, plan: Plan, count: int) -> ShardWriter:
    """The writer of one file, for a plan whose format is not png."""
    match plan.format:
        case "webdataset":
            from seedmint.service.batch.formats.webdataset import WebDatasetWriter

            return WebDatasetWriter(sink, generator, plan.truncation)
        case "parquet":
            from seedmint.service.batch.formats.parquet import ParquetWriter

            return ParquetWriter(sink, generator, plan.truncation)
        case form:
            return ArrayWriter(sink, generator, form, count)


class CountingSink:
    """Passes bytes on, and counts and hashes them.

    Attributes:
        bytes: how many there were.
    """

    closed = False  # pyarrow asks

    def __init__(self, file: IO[bytes] | None) -> None:
        """`file` None only counts."""
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._file = file

    def write(self, data: bytes) -> int:
        view = memoryview(data).cast("B")
        self.bytes += view.nbytes
        self._digest.update(view)
        if self._file is not None:
            self._file.write(view)
        return view.nbytes

    def flush(self) -> None:
        """The file is flushed when it is whole."""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _write_file(file: IO[bytes], generator: Generator, plan: Plan, count: int, pieces: Iterator[Made]) -> tuple[int, str]:
    sink = CountingSink(file)
    writer = shard_writer(sink, generator, plan, count)
    for seeds, labels, made in pieces:
        writer.add(seeds, labels, made)
    writer.finish()
    return sink.bytes, sink.sha256


def _write_files(
    add: Callable[[str, bytes], None], generator: Generator, plan: Plan, pieces: Iterator[Made]
) -> tuple[int, str]:
    listing = Listing()
    for seeds, labels, made in pieces:
        for i, png in enumerate(pngs(generator, seeds, labels, made, plan.truncation)):
            name = file_name(plan, int(seeds[i]), None if labels is None else int(labels[i]))
            listing.add(name, png)
            add(name, png)
    return listing.bytes, listing.sha256


def _told(pieces: Iterator[Made], progress: Progress) -> Iterator[Made]:
    """The same pieces, each of which is told of when the next is asked for: then it is written."""
    for piece in pieces:
        yield piece
        progress(len(piece[0]))


def _pieces(generator: Generator, plan: Plan, shard: Shard, threads: int) -> Suspended[Made]:
    """The pieces of a shard in order, made by threads while those before them are written, or one by one."""
    pieces = plan.pieces(shard, generator.max_batch)
    if threads == 0:
        for seeds, labels in pieces:
            yield seeds, labels, generator.generate(seeds, labels, plan.truncation)
        return
    coming: deque[tuple[SeedArray, NDArray[np.int64] | None, Future[Outputs]]] = deque()
    with ThreadPoolExecutor(threads, "generation") as makers:
        try:
            for seeds, labels in pieces:
                coming.append((seeds, labels, makers.submit(generator.generate, seeds, labels, plan.truncation)))
                if len(coming) == threads + _AHEAD:
                    seeds, labels, made = coming.popleft()
                    yield seeds, labels, made.result()
            for seeds, labels, made in coming:
                yield seeds, labels, made.result()
        finally:
            makers.shutdown(cancel_futures=True)

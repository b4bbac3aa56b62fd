"""One shard: from a generator and a plan to its files, then its record. Every engine runs this and nothing else."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import IO

import numpy as np
from numpy.typing import NDArray

from service.batch.content import confirmed
from service.batch.formats import ShardWriter, Sink
from service.batch.formats.arrays import ArrayWriter
from service.batch.formats.folder import Listing, file_name
from service.batch.formats.pngs import pngs
from service.batch.output import Output
from service.batch.plan import Plan, Shard
from service.batch.records import Record, write_record
from service.generator import Generator, Outputs, SeedArray

Progress = Callable[[int], None]
Made = tuple[SeedArray, NDArray[np.int64] | None, Outputs]
_AHEAD = 2  # pieces made before they are written, at most: they are all the memory that a shard takes


def make_shard(generator: Generator, plan: Plan, index: int, output: Output, progress: Progress = lambda made: None) -> Record:
    """Make a shard, write it, then write its record.

    Args:
        generator: that of `plan.model`.
        progress: told the number of images written, after each piece.

    Raises:
        OSError, UserError: the output cannot be written. Then there is no record.
    """
    shard = plan.shard(index)
    size, sha256 = (_files if plan.format == "png" else _file)(generator, plan, shard, output, progress)
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
            from service.batch.formats.webdataset import WebDatasetWriter

            return WebDatasetWriter(sink, generator, plan.truncation)
        case "parquet":
            from service.batch.formats.parquet import ParquetWriter

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


def _file(generator: Generator, plan: Plan, shard: Shard, output: Output, progress: Progress) -> tuple[int, str]:
    with output.write(plan.file_name(shard.index)) as file:
        sink = CountingSink(file)
        writer = shard_writer(sink, generator, plan, shard.count)
        for seeds, labels, made in _ahead(generator, plan, shard):
            writer.add(seeds, labels, made)
            progress(len(seeds))
        writer.finish()
    return sink.bytes, sink.sha256


def _files(generator: Generator, plan: Plan, shard: Shard, output: Output, progress: Progress) -> tuple[int, str]:
    listing = Listing()

    def files() -> Iterator[tuple[str, bytes]]:
        for seeds, labels, made in _ahead(generator, plan, shard):
            for i, png in enumerate(pngs(generator, seeds, labels, made, plan.truncation)):
                name = file_name(plan, int(seeds[i]), None if labels is None else int(labels[i]))
                listing.add(name, png)
                yield name, png
            progress(len(seeds))

    output.write_all(files())
    return listing.bytes, listing.sha256


def _ahead(generator: Generator, plan: Plan, shard: Shard) -> Iterator[Made]:
    """The pieces of a shard, made by a thread while those before them are written."""
    made: Queue[Made | Exception | None] = Queue(_AHEAD)
    left = threading.Event()

    def make() -> None:
        try:
            for seeds, labels in plan.pieces(shard, generator.max_batch):
                if left.is_set():
                    return
                made.put((seeds, labels, generator.generate(seeds, labels, plan.truncation)))
            made.put(None)
        except Exception as error:
            made.put(error)

    thread = threading.Thread(target=make, name="generation", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        left.set()
        while thread.is_alive():  # it may wait for room
            while not made.empty():
                made.get_nowait()
            thread.join(0.01)

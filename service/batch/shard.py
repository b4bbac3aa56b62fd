"""Makes one shard: its data files, then its record. Every engine uses this module."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Generator as GeneratorType
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import IO

import numpy as np
from numpy.typing import NDArray

from seedmint.models.seeds import seeds_from_list
from seedmint.service.batch.classifier import combined
from seedmint.service.batch.formats.arrays import ArrayWriter
from seedmint.service.batch.formats.base import ShardWriter, Sink
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.plan import Plan, Shard
from seedmint.service.batch.png_folder import FileListing, file_name
from seedmint.service.batch.progress import BatchProgress, OnProgress, ignore_progress
from seedmint.service.batch.readback import reconcile
from seedmint.service.batch.records import Record, write_record
from seedmint.service.batch.selection import Mask, accepted, pieces
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

Batch = tuple[SeedArray, NDArray[np.int64] | None, Outputs]  # seeds, labels, outputs
_GENERATE_AHEAD = 2  # batches in memory, in addition to one batch for each thread


def make_shard(
    generator: Generator, plan: Plan, index: int, output: Output, on_progress: OnProgress = ignore_progress
) -> Record:
    """Make a shard and write its record.

    Args:
        generator: The generator of the shard.
        plan: The plan of the job.
        index: Index of the shard.
        output: The output of the job.
        on_progress: Receives an event after each batch.

    Raises:
        OSError: The output is not writable. The shard then has no record.
        UserError: The same, for an object store.
    """
    return write_shard(generator, plan, index, output, on_progress)()


def write_shard(
    generator: Generator,
    plan: Plan,
    index: int,
    output: Output,
    on_progress: OnProgress = ignore_progress,
    threads: int = 0,
) -> Callable[[], Record]:
    """Generate and write a shard. The returned function makes it visible and writes its record.

    Args:
        generator: The generator of the shard.
        plan: The plan of the job.
        index: Index of the shard.
        output: The output of the job.
        on_progress: Receives an event after each batch.
        threads: Threads that generate while the calling thread writes. With 0 the calling thread does both, which is faster on
            one processor.

    Returns:
        A function for any thread. It syncs or uploads the shard, then writes and returns its record.

    Raises:
        OSError: The output is not writable. The returned function raises it too. The shard then has no record.
        UserError: The same, for an object store.
    """
    shard = plan.shard(index)
    mask = accepted(generator, plan, shard)
    count = shard.count if mask is None else int(mask.sum())
    with ExitStack() as stack:
        batches = _with_progress(stack.enter_context(closing(_batches(generator, plan, shard, mask, threads))), on_progress)
        if plan.format == "png":
            size, sha256 = _write_files(stack.enter_context(output.write_many()), generator, plan, index, batches)
        else:
            file = stack.enter_context(output.write(plan.file_name(index)))
            size, sha256 = _write_file(file, generator, plan, shard.generator, count, batches)
        open_files = stack.pop_all()

    def finish() -> Record:
        open_files.close()
        return _write_record(generator, plan, shard, mask, output, size, sha256)

    return finish


def shard_digest(generator: Generator, plan: Plan, index: int) -> str:
    """Generate a shard again without writing it, and return the SHA-256 that its record must have.

    Args:
        generator: The generator of the shard.
        plan: The plan of the job.
        index: Index of the shard.
    """
    shard = plan.shard(index)
    mask = accepted(generator, plan, shard)
    batches = _batches(generator, plan, shard, mask, 0)
    if plan.format == "png":
        return _write_files(lambda name, content: None, generator, plan, index, batches)[1]
    count = shard.count if mask is None else int(mask.sum())
    return _write_file(None, generator, plan, shard.generator, count, batches)[1]


def _write_record(
    generator: Generator, plan: Plan, shard: Shard, mask: Mask | None, output: Output, size: int, sha256: str
) -> Record:
    of_plan = plan.generators[shard.generator]
    determinism = combined(generator.determinism, of_plan.filter)
    record = Record(
        shard=shard.index,
        file=plan.file_name(shard.index),
        seeds=str(shard.seeds),
        count=shard.count,
        accepted=None if mask is None else int(mask.sum()),
        refused=None if mask is None else _seeds_text(shard.seeds.array()[~mask]),
        bytes=size,
        sha256=sha256,
        model=of_plan.model,
        plan=plan.digest,
        determinism=determinism,
    )
    write_record(output, record)
    return record if determinism == "exact" else reconcile(output, plan, record)


def _seeds_text(seeds: SeedArray) -> str:
    return str(seeds_from_list(seeds.tolist())) if len(seeds) else ""


def shard_writer(sink: Sink, generator: Generator, plan: Plan, index: int, count: int) -> ShardWriter:
    """Return the writer of one shard file. The format png has no such file.

    Args:
        sink: Receives the bytes.
        generator: The generator of the shard.
        plan: The plan of the job.
        index: Index of the generator among the generators of the plan.
        count: Seeds in the shard.
    """
    origin = plan.origin(index)
    match plan.format:
        case "webdataset":
            from seedmint.service.batch.formats.webdataset import WebDatasetWriter

            return WebDatasetWriter(sink, generator, plan.truncation, origin)
        case "parquet":
            from seedmint.service.batch.formats.parquet import parquet_writer

            return parquet_writer(sink, generator, plan.truncation, plan.keys, origin)
        case "npz" | "npy" as array_format:
            return ArrayWriter(sink, generator, array_format, count, origin)
        case "png":
            raise ValueError("the format png has a file for each image")


class CountingSink:
    """Counts and hashes bytes, and writes them to a file.

    Attributes:
        bytes: Number of bytes.
    """

    closed = False  # pyarrow reads this attribute

    def __init__(self, file: IO[bytes] | None) -> None:
        """
        Args:
            file: Receives the bytes; None to count only.
        """
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._file = file

    def write(self, data: bytes) -> int:
        """Write bytes.

        Args:
            data: Any object with the buffer protocol.

        Returns:
            The number of bytes.
        """
        view = memoryview(data).cast("B")
        self.bytes += view.nbytes
        self._digest.update(view)
        if self._file is not None:
            self._file.write(view)
        return view.nbytes

    def flush(self) -> None:
        """Do nothing: the output flushes the file when it is complete."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes written."""
        return self._digest.hexdigest()


def _write_file(
    file: IO[bytes] | None, generator: Generator, plan: Plan, index: int, count: int, batches: Iterator[Batch]
) -> tuple[int, str]:
    sink = CountingSink(file)
    writer = shard_writer(sink, generator, plan, index, count)
    for seeds, labels, outputs in batches:
        writer.add(seeds, labels, outputs)
    if count == 0 and plan.format == "npz":  # a filter has kept nothing; the arrays exist nevertheless
        writer.add(*_empty_batch(plan))
    writer.finish()
    return sink.bytes, sink.sha256


def _empty_batch(plan: Plan) -> Batch:
    output, nothing = plan.card.output, np.zeros(0, np.int64)
    return nothing, nothing if plan.is_conditional else None, np.zeros((0, *output.shape), output.dtype)


def _write_files(
    add: Callable[[str, bytes], None], generator: Generator, plan: Plan, index: int, batches: Iterator[Batch]
) -> tuple[int, str]:
    listing = FileListing()
    folder = plan.file_name(index)
    for seeds, labels, images in batches:
        for i, png in enumerate(pngs(generator, seeds, labels, images, plan.truncation)):
            name = file_name(plan, folder, int(seeds[i]), None if labels is None else int(labels[i]))
            listing.add(name, png)
            add(name, png)
    return listing.bytes, listing.sha256


def _with_progress(batches: Iterator[Batch], on_progress: OnProgress) -> Iterator[Batch]:
    """Yield the batches and report each one. The writer has written a batch when it requests the next batch."""
    for batch in batches:
        yield batch
        on_progress(BatchProgress(len(batch[0])))


def _batches(generator: Generator, plan: Plan, shard: Shard, mask: Mask | None, threads: int) -> GeneratorType[Batch]:
    """Yield the batches of a shard in order. With threads, the next batches are generated while the caller writes."""
    batches = pieces(plan, shard, mask, generator.max_batch)
    if threads == 0:
        for seeds, labels in batches:
            yield seeds, labels, generator.generate(seeds, labels, plan.truncation)
        return
    pending: deque[tuple[SeedArray, NDArray[np.int64] | None, Future[Outputs]]] = deque()
    with ThreadPoolExecutor(threads, "generation") as executor:
        try:
            for seeds, labels in batches:
                pending.append((seeds, labels, executor.submit(generator.generate, seeds, labels, plan.truncation)))
                if len(pending) == threads + _GENERATE_AHEAD:
                    seeds, labels, outputs = pending.popleft()
                    yield seeds, labels, outputs.result()
            for seeds, labels, outputs in pending:
                yield seeds, labels, outputs.result()
        finally:
            executor.shutdown(cancel_futures=True)

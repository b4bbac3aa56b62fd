"""Checks a job: files against records, and some images or samples of each shard against the generator."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO

import numpy as np

from seedmint.service.batch import png_folder
from seedmint.service.batch.completeness import orphans
from seedmint.service.batch.data_card import DATA_CARD
from seedmint.service.batch.formats import arrays
from seedmint.service.batch.manifest import MANIFEST, Totals, manifest
from seedmint.service.batch.plan import Plan, Shard
from seedmint.service.batch.plan_comparison import toolchain_here
from seedmint.service.batch.progress import BatchProgress, OnProgress
from seedmint.service.batch.readback import compute_sha256
from seedmint.service.batch.records import Record, RecordError, read_record, read_records, record_name
from seedmint.service.batch.row_index import is_row_index, row_indices
from seedmint.service.batch.selection import pieces
from seedmint.service.batch.shard import shard_digest
from seedmint.service.batch.splits import Split
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.arrays import Outputs, Piece
from seedmint.service.runtime.generator import Generator

SAMPLES_PER_SHARD = 4  # outputs to generate again, spread evenly over the shard
_BLOCK_SIZE = 1024  # outputs in memory
_SHARDS_AHEAD = 64  # shards that are queued for the threads


@dataclass(frozen=True)
class Fault:
    """A fault of a job.

    Attributes:
        reason: A stable code: "no_record", "damaged_record", "record_of_other_job", "missing_file", "other_hash", "other_type",
            "other_values" or "orphan".
        file: The file that is wrong: of the data, a record, the manifest, the index or the data card.
        message: What is wrong and what to do, without the shard.
        shard: Index of the shard; None for a file that belongs to no shard.
    """

    reason: str
    file: str
    message: str
    shard: int | None = None

    def __str__(self) -> str:
        return self.message if self.shard is None else f"shard {self.shard}: {self.message}"


def verify(
    output: Output,
    plan: Plan,
    generators: Sequence[Generator],
    on_progress: OnProgress,
    every_value: bool = False,
    threads: int = 1,
) -> Iterator[Fault]:
    """Yield the faults of a job: of its shards, then of the summaries, then files that belong to no shard.

    Args:
        output: The output of the job.
        plan: Its plan.
        generators: The generators of the plan, in order.
        on_progress: Receives an event after each shard.
        every_value: Compare every image or sample with the generator, and not only four of each shard.
        threads: Number of shards at the same time.
    """
    records_are_readable = True
    with ThreadPoolExecutor(threads) as executor:
        for first in range(0, plan.num_shards, _SHARDS_AHEAD):
            indices = range(first, min(plan.num_shards, first + _SHARDS_AHEAD))
            faults = executor.map(
                lambda index: shard_fault(output, plan, generators[plan.part_of(index).generator], index, every_value), indices
            )
            for index, fault in zip(indices, faults, strict=True):
                if fault is not None:
                    records_are_readable &= fault.file != record_name(index)
                    yield fault
                on_progress(BatchProgress(plan.size(index), 1))
    if records_are_readable:
        yield from _summary_faults(output, plan)
    for name in orphans(output, plan):
        yield Fault("orphan", name, f"{name} belongs to no shard: remove it")


def _index_check(output: Output, plan: Plan, split: Split) -> Callable[[IO[bytes]], bool]:
    return lambda file: is_row_index(file, output, plan, split)


def shard_fault(output: Output, plan: Plan, generator: Generator, index: int, every_value: bool) -> Fault | None:
    """Return the first fault of a shard, or None.

    Args:
        output: The output of the job.
        plan: Its plan.
        generator: The generator of the shard.
        index: Index of the shard.
        every_value: Compare every image or sample with the generator, and not only four.
    """
    try:
        record = read_record(output, plan, index)
    except FileNotFoundError:
        return Fault("no_record", record_name(index), "has no record: run the job again to make it", index)
    except RecordError as error:
        return Fault(error.reason, record_name(index), str(error), index)
    fault = _file_fault(output, plan, generator, record, every_value)
    if fault is not None or not every_value or not _is_reproducible(plan, index, generator):
        return fault
    if shard_digest(generator, plan, index) != record.sha256:
        return _other_values(plan, record.file, index)
    return None


def _is_reproducible(plan: Plan, index: int, generator: Generator) -> bool:
    """Return whether the plan gives the same bytes of a shard here."""
    of_plan = plan.part_of(index).generator
    here = toolchain_here(plan, of_plan, generator)
    return here["determinism"] == "exact" and here == plan.generators[of_plan].toolchain


def _other_values(plan: Plan, name: str, index: int) -> Fault:
    message = f"{name} holds other {plan.card.output.kind}s than the generator makes from its seeds: {_remedy(index)}"
    return Fault("other_values", name, message, index)


def _remedy(index: int) -> str:
    return f"remove {record_name(index)} and run the job again"


def _summary_faults(output: Output, plan: Plan) -> Iterator[Fault]:
    """Yield the faults of the manifest, the index and the data card. Users may edit the data card, so it must only exist."""
    expected = hashlib.sha256()
    for part in manifest(plan, read_records(output, plan), Totals()):
        expected.update(part)
    checks: list[tuple[str, str, Callable[[IO[bytes]], bool]]] = [
        (MANIFEST, "the records", lambda file: compute_sha256(file) == expected.hexdigest()),
        *((name, "the plan", _index_check(output, plan, split)) for name, split in row_indices(plan).items()),
        (DATA_CARD, "the job: it is empty", lambda file: bool(file.read(1))),
    ]
    for name, source, is_right in checks:
        try:
            with output.open(name) as file:
                is_same = is_right(file)
        except FileNotFoundError:
            yield Fault("missing_file", name, f"{name} is missing: run the job again")
            continue
        if not is_same:
            yield Fault("other_hash", name, f"{name} does not agree with {source}: remove it and run the job again")


def _file_fault(output: Output, plan: Plan, generator: Generator, record: Record, every_value: bool) -> Fault | None:
    shard = plan.shard(record.shard)
    if plan.format == "png":
        return _png_fault(output, plan, generator, shard, record, every_value)
    try:
        with output.open(record.file) as file:
            if compute_sha256(file) != record.sha256:
                message = f"{record.file} has another SHA-256 than its record: {_remedy(shard.index)}"
                return Fault("other_hash", record.file, message, shard.index)

            def read(positions: list[int]) -> Outputs:
                file.seek(0)
                return _read(file, plan, positions)

            return _values_fault(plan, generator, shard, read, record, every_value)
    except FileNotFoundError:
        return Fault("missing_file", record.file, f"{record.file} is missing: run the job again", shard.index)


def _png_fault(
    output: Output, plan: Plan, generator: Generator, shard: Shard, record: Record, every_value: bool
) -> Fault | None:
    listing = png_folder.FileListing()
    for name in png_folder.recorded_files(plan, record):
        try:
            listing.add(name, output.read(name))
        except FileNotFoundError:
            return Fault("missing_file", name, f"{name} is missing: {_remedy(shard.index)}", shard.index)
    if listing.sha256 != record.sha256:
        message = f"its files in {record.file} have another SHA-256 than its record: {_remedy(shard.index)}"
        return Fault("other_hash", record.file, message, shard.index)

    def read(positions: list[int]) -> Outputs:
        seeds, labels = _seeds_and_labels(plan, shard, record)
        return png_folder.read(output, plan, record.file, seeds[positions], None if labels is None else labels[positions])

    return _values_fault(plan, generator, shard, read, record, every_value)


def _seeds_and_labels(plan: Plan, shard: Shard, record: Record) -> Piece:
    """Return the seeds and labels of the images in the data of a shard."""
    return next(pieces(plan, shard, record.mask(shard), shard.count))


def _values_fault(
    plan: Plan, generator: Generator, shard: Shard, read: Callable[[list[int]], Outputs], record: Record, every_value: bool
) -> Fault | None:
    """Generate some outputs of a shard again and compare them. All outputs, if the bytes of the whole shard cannot be compared.

    Values may differ in the last digit if the generator is approximate, here or in the plan, or if versions differ.
    """
    if record.num_images == 0:  # the filter has kept none
        return None
    is_reproducible, name = _is_reproducible(plan, shard.index, generator), record.file
    seeds, labels = _seeds_and_labels(plan, shard, record)
    blocks = [np.unique(np.linspace(0, len(seeds) - 1, SAMPLES_PER_SHARD).astype(int))]
    if every_value and not is_reproducible:
        blocks = np.array_split(np.arange(len(seeds)), -(-len(seeds) // _BLOCK_SIZE))
    for positions in blocks:
        expected = generator.generate(seeds[positions], None if labels is None else labels[positions], plan.truncation)
        found = read(positions.tolist())
        if found.dtype != expected.dtype or found.shape != expected.shape:
            types = f"{found.dtype}{list(found.shape[1:])} instead of {expected.dtype}{list(expected.shape[1:])}"
            return Fault("other_type", name, f"{name} holds {types}: {_remedy(shard.index)}", shard.index)
        is_same = np.array_equal(found, expected, equal_nan=True)
        if not is_same and not is_reproducible:
            is_same = np.allclose(found.astype(np.float64), expected, rtol=1e-3, atol=1, equal_nan=True)
        if not is_same:
            return _other_values(plan, name, shard.index)
    return None


def _read(file: IO[bytes], plan: Plan, positions: list[int]) -> Outputs:
    match plan.format:
        case "webdataset":
            from seedmint.service.batch.formats import webdataset

            return webdataset.read(file, positions)
        case "parquet":
            from seedmint.service.batch.formats import parquet

            return parquet.read(file, positions, plan.card)
        case _:
            return arrays.read(file, positions)

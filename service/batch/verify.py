"""Checks a job: files against records, and some images or samples of each shard against the generator."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from seedmint.service.batch import png_folder
from seedmint.service.batch.completeness import orphans
from seedmint.service.batch.data_card import DATA_CARD
from seedmint.service.batch.formats import arrays
from seedmint.service.batch.formats.base import toolchain
from seedmint.service.batch.manifest import MANIFEST, Totals, manifest
from seedmint.service.batch.plan import Plan, Shard
from seedmint.service.batch.progress import OnProgress, ProgressEvent
from seedmint.service.batch.readback import compute_sha256
from seedmint.service.batch.records import Record, RecordError, read_record, read_records, record_name
from seedmint.service.batch.row_index import is_row_index, row_indices
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.arrays import Outputs
from seedmint.service.runtime.generator import Generator

SAMPLES_PER_SHARD = 4  # outputs to generate again, spread evenly over the shard


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


def verify(output: Output, plan: Plan, generator: Generator, on_progress: OnProgress) -> Iterator[Fault]:
    """Yield the faults of a job: of its shards, then of the summaries, then files that belong to no shard.

    Args:
        output: The output of the job.
        plan: Its plan.
        generator: The generator of the plan.
        on_progress: Receives an event after each shard.
    """
    records_are_readable = True
    for index in range(plan.num_shards):
        try:
            record = read_record(output, plan, index)
        except FileNotFoundError:
            records_are_readable = False
            yield Fault("no_record", record_name(index), "has no record: run the job again to make it", index)
        except RecordError as error:
            records_are_readable = False
            yield Fault(error.reason, record_name(index), str(error), index)
        else:
            fault = _shard_fault(output, plan, generator, record)
            if fault is not None:
                yield fault
        on_progress(ProgressEvent(plan.size(index), 1))
    if records_are_readable:
        yield from _summary_faults(output, plan)
    for name in orphans(output, plan):
        yield Fault("orphan", name, f"{name} belongs to no shard: remove it")


def _summary_faults(output: Output, plan: Plan) -> Iterator[Fault]:
    """Yield the faults of the manifest, the index and the data card. Users may edit the data card, so it must only exist."""
    expected = hashlib.sha256()
    for part in manifest(plan, read_records(output, plan), Totals()):
        expected.update(part)
    checks: list[tuple[str, str, Callable[[IO[bytes]], bool]]] = [
        (MANIFEST, "the records", lambda file: compute_sha256(file) == expected.hexdigest()),
        *((name, "the plan", lambda file: is_row_index(file, plan)) for name in row_indices(plan)),
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


def _shard_fault(output: Output, plan: Plan, generator: Generator, record: Record) -> Fault | None:
    shard = plan.shard(record.shard)
    remedy = f"remove {record_name(record.shard)} and run the job again"
    if plan.format == "png":
        return _png_fault(output, plan, generator, shard, record, remedy)
    try:
        with output.open(record.file) as file:
            if compute_sha256(file) != record.sha256:
                message = f"{record.file} has another SHA-256 than its record: {remedy}"
                return Fault("other_hash", record.file, message, shard.index)
            file.seek(0)
            return _values_fault(plan, generator, shard, lambda positions: _read(file, plan, positions), record.file, remedy)
    except FileNotFoundError:
        return Fault("missing_file", record.file, f"{record.file} is missing: run the job again", shard.index)


def _png_fault(output: Output, plan: Plan, generator: Generator, shard: Shard, record: Record, remedy: str) -> Fault | None:
    listing = png_folder.FileListing()
    for name in png_folder.file_names(plan, shard):
        try:
            listing.add(name, output.read(name))
        except FileNotFoundError:
            return Fault("missing_file", name, f"{name} is missing: {remedy}", shard.index)
    if listing.sha256 != record.sha256:
        message = f"its files in {record.file} have another SHA-256 than its record: {remedy}"
        return Fault("other_hash", record.file, message, shard.index)

    def read(positions: list[int]) -> Outputs:
        seeds = shard.seeds.array()
        labels = plan.labels_at(shard.start, seeds)
        return png_folder.read(output, plan, seeds[positions], None if labels is None else labels[positions])

    return _values_fault(plan, generator, shard, read, record.file, remedy)


def _values_fault(
    plan: Plan, generator: Generator, shard: Shard, read: Callable[[list[int]], Outputs], name: str, remedy: str
) -> Fault | None:
    """Generate some outputs of a shard again and compare them.

    Values may differ in the last digit if the generator is approximate, or if machine or versions differ from the plan.
    """
    positions = np.unique(np.linspace(0, shard.count - 1, SAMPLES_PER_SHARD).astype(int))
    seeds = shard.seeds.array()
    labels = plan.labels_at(shard.start, seeds)
    expected = generator.generate(seeds[positions], None if labels is None else labels[positions], plan.truncation)
    found = read(positions.tolist())
    if found.dtype != expected.dtype or found.shape != expected.shape:
        types = f"{found.dtype}{list(found.shape[1:])} instead of {expected.dtype}{list(expected.shape[1:])}"
        return Fault("other_type", name, f"{name} holds {types}: {remedy}", shard.index)
    is_same = np.array_equal(found, expected)
    if not is_same and (generator.determinism == "approximate" or toolchain(plan.format, plan.card) != plan.toolchain):
        is_same = np.allclose(found.astype(np.float64), expected, rtol=1e-3, atol=1)
    if is_same:
        return None
    message = f"{name} holds other {plan.card.output.kind}s than the generator makes from its seeds: {remedy}"
    return Fault("other_values", name, message, shard.index)


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

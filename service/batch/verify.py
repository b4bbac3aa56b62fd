"""Whether a job is what its records and its plan say: files against hashes, and images made again."""

import hashlib
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np

from seedmint.service.batch import png_folder
from seedmint.service.batch.completeness import strays
from seedmint.service.batch.formats import arrays, libraries
from seedmint.service.batch.manifest import DATA_CARD, MANIFEST, Totals, data_card, manifest
from seedmint.service.batch.plan import Plan, Shard
from seedmint.service.batch.readback import sha256_of
from seedmint.service.batch.records import Record, RecordError, read_record, read_records, record_name
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.arrays import Outputs
from seedmint.service.runtime.generator import Generator

SAMPLED = 4  # images of each shard that are made again, spread from its first to its last


def verify(output: Output, plan: Plan, generator: Generator, progress: Callable[[int], None]) -> Iterator[str]:
    """What is wrong, a line each: every shard held against its record, and some images of each against the generator; then the
    manifest and the data card against the records; then files that belong to no shard.

    Args:
        generator: that of the plan.
        progress: told the number of images in each shard that was looked at.
    """
    readable = True
    for index in range(plan.shards):
        try:
            record = read_record(output, plan, index)
        except FileNotFoundError:
            readable = False
            yield f"shard {index}: has no record: it is not made yet"
        except RecordError as error:
            readable = False
            yield f"shard {index}: {error}"
        else:
            fault = _fault(output, plan, generator, record)
            if fault is not None:
                yield f"shard {index}: {fault}"
        progress(plan.size(index))
    if readable:
        yield from _faults_of_summaries(output, plan)
    yield from (f"{name} belongs to no shard: remove it" for name in strays(output, plan))


def _faults_of_summaries(output: Output, plan: Plan) -> Iterator[str]:
    totals, expected = Totals(), hashlib.sha256()
    for piece in manifest(plan, read_records(output, plan), totals):
        expected.update(piece)
    card = hashlib.sha256(data_card(plan, totals).encode())
    for name, digest in ((MANIFEST, expected), (DATA_CARD, card)):
        try:
            with output.open(name) as file:
                same = sha256_of(file) == digest.hexdigest()
        except FileNotFoundError:
            yield f"{name} is missing: run the job again"
            continue
        if not same:
            yield f"{name} does not say what the records do: run the job again"


def _fault(output: Output, plan: Plan, generator: Generator, record: Record) -> str | None:
    shard = plan.shard(record.shard)
    if plan.format == "png":
        fault = _folder_fault(output, plan, generator, shard, record)
    else:
        try:
            with output.open(record.file) as file:
                fault = _file_fault(plan, generator, shard, record, file)
        except FileNotFoundError:
            return f"{record.file} is missing: run the job again"
    return None if fault is None else f"{fault}: remove {record_name(record.shard)}, and run the job again"


def _file_fault(plan: Plan, generator: Generator, shard: Shard, record: Record, file: IO[bytes]) -> str | None:
    if sha256_of(file) != record.sha256:
        return f"{record.file} is not as recorded, its SHA-256 differs"
    file.seek(0)
    return _other_images(plan, generator, shard, lambda positions: _read(file, plan, positions), record.file)


def _folder_fault(output: Output, plan: Plan, generator: Generator, shard: Shard, record: Record) -> str | None:
    listing = png_folder.Listing()
    for name in png_folder.file_names(plan, shard):
        try:
            listing.add(name, output.read(name))
        except FileNotFoundError:
            return f"{name} is missing"
    if listing.sha256 != record.sha256:
        return f"its files in {record.file} are not as recorded, their SHA-256 differs"

    def read(positions: list[int]) -> Outputs:
        seeds = shard.seeds.array()
        labels = plan.labels_at(shard.start, seeds)
        return png_folder.read(output, plan, seeds[positions], None if labels is None else labels[positions])

    return _other_images(plan, generator, shard, read, record.file)


def _other_images(
    plan: Plan, generator: Generator, shard: Shard, read: Callable[[list[int]], Outputs], name: str
) -> str | None:
    """Make some images of a shard again. By a generator that is only approximate, or on a machine or by versions that are not
    those of the plan, they may differ in the last place."""
    positions = np.unique(np.linspace(0, shard.count - 1, SAMPLED).astype(int))
    seeds = shard.seeds.array()
    labels = plan.labels_at(shard.start, seeds)
    wanted = generator.generate(seeds[positions], None if labels is None else labels[positions], plan.truncation)
    found = read(positions.tolist())
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        return (
            f"{name} holds {found.dtype}{list(found.shape[1:])}, and the generator makes {wanted.dtype}{list(wanted.shape[1:])}"
        )
    same = np.array_equal(found, wanted)
    if not same and (generator.determinism == "approximate" or libraries(plan.format, plan.card) != plan.libraries):
        same = np.allclose(found.astype(np.float64), wanted, rtol=1e-3, atol=1)
    return None if same else f"{name} holds other {plan.card.output.kind}s than the generator makes of its seeds"


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

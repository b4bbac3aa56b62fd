"""Records: one file for each finished shard, written after its data. Records are the only state of a job."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seedmint.models.card_part import Sha256
from seedmint.models.errors import UserError
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.storage.base import Output

RECORDS_FOLDER = "records"
RECORD_NAME = re.compile(r"([0-9]{6})\.json", re.ASCII)
_READERS = 16  # concurrent requests to an object store
_READ_AHEAD = 1024  # records


class RecordError(UserError):
    """A record is damaged, or belongs to another job."""

    reason = "damaged_record"
    status = 2


class Record(BaseModel):
    """The record of a finished shard.

    Attributes:
        shard: Index of the shard.
        file: Name of its file in the output.
        seeds: Its seeds, in order.
        count: Number of seeds.
        bytes: Size of the file. Format png: size of all its files.
        sha256: SHA-256 of the file. Format png: SHA-256 of the lines "{SHA-256}  {name}\\n" of its files, in the order of the
            seeds, as sha256sum prints them.
        model: SHA-256 of the generator file.
        plan: SHA-256 of the plan.
        determinism: Result of the generator's determinism test in the process that made the shard.
    """

    shard: int = Field(ge=0)
    file: str
    seeds: str
    count: int = Field(ge=1)
    bytes: int = Field(ge=0)
    sha256: Sha256
    model: Sha256
    plan: Sha256
    determinism: Literal["exact", "approximate"]

    model_config = ConfigDict(extra="forbid", frozen=True)


def write_record(output: Output, record: Record) -> None:
    """Write the record of a shard whose data is complete.

    Args:
        output: The output of the job.
        record: The record.
    """
    with output.write(record_name(record.shard)) as file:
        file.write(record_bytes(record))


def record_bytes(record: Record) -> bytes:
    """Return the content of the file of a record.

    Args:
        record: The record.
    """
    return (record.model_dump_json(indent=2) + "\n").encode()


def recorded_shards(output: Output, plan: Plan) -> NDArray[np.bool_]:
    """Return which shards have a record. `completeness.complete_shards` also checks their data.

    Args:
        output: The output of the job.
        plan: Its plan.

    Returns:
        bool[num_shards].
    """
    mask = np.zeros(plan.num_shards, np.bool_)
    for name in output.names(RECORDS_FOLDER):
        if (match := RECORD_NAME.fullmatch(name)) and int(match[1]) < plan.num_shards:
            mask[int(match[1])] = True
    return mask


def count_in_shards(plan: Plan, mask: NDArray[np.bool_]) -> int:
    """Return the number of images or samples in some shards.

    Args:
        plan: The plan of the job.
        mask: bool[num_shards], the shards to count.
    """
    return int(plan.shard_sizes[mask].sum())


def read_record(output: Output, plan: Plan, index: int) -> Record:
    """Read the record of a shard.

    Args:
        output: The output of the job.
        plan: Its plan.
        index: Index of the shard.

    Raises:
        RecordError: The record is damaged, or belongs to another job.
        FileNotFoundError: The shard has no record.
    """
    name = record_name(index)
    try:
        record = Record.model_validate_json(output.read(name))
    except ValidationError:
        raise RecordError(f"{output.url}: {name} is damaged: remove it and run the job again") from None
    shard = plan.shard(index)
    expected = (index, plan.file_name(index), str(shard.seeds), shard.count, plan.model, plan.digest)
    if expected != (record.shard, record.file, record.seeds, record.count, record.model, record.plan):
        raise RecordError(
            f"{output.url}: {name} belongs to another job: remove it and run the job again", reason="record_of_other_job"
        )
    return record


def recorded_sizes(output: Output, plan: Plan, indices: Sequence[int]) -> Iterator[tuple[int, int | None]]:
    """Yield the index and the size in bytes of shards, from their records.

    Args:
        output: The output of the job.
        plan: Its plan.
        indices: Indices of the shards.

    Yields:
        Index and size; None for a shard whose record is missing or not readable.
    """

    def size(index: int) -> int | None:
        try:
            return read_record(output, plan, index).bytes
        except (FileNotFoundError, RecordError):
            return None

    with ThreadPoolExecutor(_READERS) as readers:
        for first in range(0, len(indices), _READ_AHEAD):
            part = indices[first : first + _READ_AHEAD]
            yield from zip(part, readers.map(size, part), strict=True)


def read_records(output: Output, plan: Plan) -> Iterator[Record]:
    """Yield the records of all shards, in order.

    Args:
        output: The output of the job.
        plan: Its plan.

    Raises:
        RecordError: A record is damaged, or belongs to another job.
        FileNotFoundError: A shard has no record.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        for first in range(0, plan.num_shards, _READ_AHEAD):
            indices = range(first, min(plan.num_shards, first + _READ_AHEAD))
            yield from readers.map(lambda index: read_record(output, plan, index), indices)


def record_name(index: int) -> str:
    """Return the name of a record in the output.

    Args:
        index: Index of the shard.
    """
    return f"{RECORDS_FOLDER}/{index:06}.json"

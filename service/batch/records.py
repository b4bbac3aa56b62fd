"""Records: one file for each finished shard, written after its data. Records are the only state of a job."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seedmint.models.card_part import Sha256, is_none
from seedmint.models.errors import UserError
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.plan import Plan, Shard
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
        accepted: Number of images that the filter keeps; None without a filter.
        refused: The seeds whose images the filter does not keep, in order; "" if it keeps all, None without a filter.
        bytes: Size of the file. Format png: size of all its files.
        sha256: SHA-256 of the file. Format png: SHA-256 of the lines "{SHA-256}  {name}\\n" of its files, in the order of the
            seeds, as sha256sum prints them.
        model: SHA-256 of the file of its generator.
        plan: SHA-256 of the plan.
        determinism: Result of the generator's determinism test in the process that made the shard.
    """

    shard: int = Field(ge=0)
    file: str
    seeds: str
    count: int = Field(ge=1)
    accepted: int | None = Field(default=None, ge=0, exclude_if=is_none)
    refused: str | None = Field(default=None, exclude_if=is_none)
    bytes: int = Field(ge=0)
    sha256: Sha256
    model: Sha256
    plan: Sha256
    determinism: Literal["exact", "approximate"]

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def num_images(self) -> int:
        """Number of images or samples in the data."""
        return self.count if self.accepted is None else self.accepted

    def mask(self, shard: Shard) -> NDArray[np.bool_] | None:
        """Return which images of the shard its data holds: bool[count], or None for all.

        Args:
            shard: The shard.
        """
        if self.refused is None:
            return None
        refused = parse_seeds(self.refused).array() if self.refused else np.zeros(0, np.int64)
        mask: NDArray[np.bool_] = ~np.isin(shard.seeds.array(), refused)
        return mask


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
    model = plan.generators[shard.generator].model
    expected = (index, plan.file_name(index), str(shard.seeds), shard.count, model, plan.digest)
    found = (record.shard, record.file, record.seeds, record.count, record.model, record.plan)
    if expected != found or (record.refused is None) != (plan.filter is None):
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


def image_counts(output: Output, plan: Plan, shards: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of images in the data of recorded shards; -1 if the record is not readable.

    Args:
        output: The output of the job.
        plan: Its plan.
        shards: int64[n], indices of the shards.

    Returns:
        int64[n].
    """
    if plan.filter is None:
        counts: NDArray[np.int64] = plan.shard_sizes[shards]
        return counts

    def count(index: int) -> int:
        try:
            return read_record(output, plan, index).num_images
        except (FileNotFoundError, RecordError):
            return -1

    with ThreadPoolExecutor(_READERS) as readers:
        return np.fromiter(readers.map(count, shards.tolist()), np.int64, len(shards))


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

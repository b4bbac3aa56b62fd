"""Records: a file for each shard, written when its data are there. Nothing else is remembered of a job."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seedmint.models.card import Sha256
from seedmint.models.errors import UserError
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.storage.base import Output

FOLDER = "records"
NAME = re.compile(r"([0-9]{6})\.json", re.ASCII)
_READERS = 16  # requests to an object store at once
_AHEAD = 1024  # records read before they are asked for, at most


class RecordError(UserError):
    """A record is damaged, or is not of this job."""

    status = 2


class Record(BaseModel):
    """What is known of a shard that is done.

    Attributes:
        shard: its number.
        file: its file's name in the output.
        seeds: its seeds, in order.
        count: number of seeds.
        bytes: size of the file; of the format png, of all its files.
        sha256: of the file; of the format png, of the lines "{SHA-256}  {name}\\n" of its files, in the order of the seeds, as
            sha256sum writes them.
        model: SHA-256 of the generator file.
        plan: SHA-256 of the plan.
        determinism: what the generator's test found in the process that made it.
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
    """Say that a shard is done. The shard must be there already."""
    with output.write(record_name(record.shard)) as file:
        file.write((record.model_dump_json(indent=2) + "\n").encode())


def recorded(output: Output, plan: Plan) -> NDArray[np.bool_]:
    """Which shards have a record: bool[plan.shards]. Whether their data are still there, `listing.done` tells."""
    found = np.zeros(plan.shards, np.bool_)
    for name in output.names(FOLDER):
        if (match := NAME.fullmatch(name)) and int(match[1]) < plan.shards:
            found[int(match[1])] = True
    return found


def images_of(plan: Plan, shards: NDArray[np.bool_]) -> int:
    """Number of images in the shards that are marked."""
    whole = int(shards.sum()) * plan.shard_size
    return whole - (plan.shards * plan.shard_size - plan.count if shards[-1] else 0)


def read_record(output: Output, plan: Plan, index: int) -> Record:
    """The record of a shard.

    Raises:
        RecordError: it is damaged, or of another job.
        FileNotFoundError: there is none.
    """
    name = record_name(index)
    try:
        record = Record.model_validate_json(output.read(name))
    except ValidationError:
        raise RecordError(f"{output.url}: {name} is damaged: remove it, and run the job again") from None
    shard = plan.shard(index)
    wanted = (index, plan.file_name(index), str(shard.seeds), shard.count, plan.model, plan.digest)
    if wanted != (record.shard, record.file, record.seeds, record.count, record.model, record.plan):
        raise RecordError(f"{output.url}: {name} is of another job: remove it, and run the job again")
    return record


def read_records(output: Output, plan: Plan) -> Iterator[Record]:
    """The records of all shards, in order.

    Raises:
        RecordError, FileNotFoundError: as `read_record`.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        for first in range(0, plan.shards, _AHEAD):
            part = range(first, min(plan.shards, first + _AHEAD))
            yield from readers.map(lambda index: read_record(output, plan, index), part)


def record_name(index: int) -> str:
    """The file of a shard's record in the output."""
    return f"{FOLDER}/{index:06}.json"

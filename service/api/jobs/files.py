"""The files of a job that clients may read: only files that the plan of the job names."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

from seedmint.service.batch.data_card import DATA_CARD
from seedmint.service.batch.formats.base import EXTENSIONS
from seedmint.service.batch.manifest import MANIFEST
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.records import read_record
from seedmint.service.batch.row_index import row_indices
from seedmint.service.batch.storage.base import PLAN_FILE, Output

_SHARD = re.compile(r"data/(?:[a-z0-9_]+/)?shard-([0-9]{6})\.[a-z]+", re.ASCII)
_PNG = re.compile(r"data/([a-z0-9][a-z0-9._-]{0,80}/){0,3}(0|[1-9][0-9]{0,18})\.png", re.ASCII)

MEDIA_TYPES = {
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".tar": "application/x-tar",
}


@dataclass(frozen=True)
class JobFile:
    """A file of a job.

    Attributes:
        name: Name in the output of the job.
        size: Size in bytes.
        sha256: SHA-256 of the content.
        content: The content of a small file; None for a shard, which is streamed.
    """

    name: str
    size: int
    sha256: str
    content: bytes | None = None

    @property
    def media_type(self) -> str:
        """Media type by the extension of the name."""
        return MEDIA_TYPES[PurePosixPath(self.name).suffix]


def find_file(output: Output, plan: Plan, name: str) -> JobFile:
    """Return a file of a job. A shard exists once it has a record.

    Args:
        output: The output of the job.
        plan: Its plan.
        name: Name of the file in the output.

    Raises:
        FileNotFoundError: The file does not exist, or does not exist yet.
        UserError: The file is not readable.
        OSError: The same.
    """
    extension = EXTENSIONS[plan.format]
    shard = _SHARD.fullmatch(name)
    if shard and int(shard[1]) < plan.num_shards and plan.file_name(int(shard[1])) == name:
        record = read_record(output, plan, int(shard[1]))
        return JobFile(name, record.bytes, record.sha256)
    if name in (PLAN_FILE, MANIFEST, DATA_CARD, *row_indices(plan)) or (extension is None and _PNG.fullmatch(name)):
        content = output.read(name)
        return JobFile(name, len(content), sha256(content).hexdigest(), content)
    raise FileNotFoundError(name)


async def read_in_threads(first: bytes, rest: Iterator[bytes], threads: Executor) -> AsyncIterator[bytes]:
    """Yield the chunks of a file. A thread reads the next chunk when the client has received the last one.

    Args:
        first: The first chunk.
        rest: The other chunks.
        threads: The threads that read.
    """
    chunk, loop = first, asyncio.get_running_loop()
    while chunk:
        yield chunk
        chunk = await loop.run_in_executor(threads, next, rest, b"")

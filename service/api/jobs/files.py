"""The files of a job, to be read: those that the plan names, and no others."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

from seedmint.service.batch.formats import EXTENSIONS
from seedmint.service.batch.manifest import DATA_CARD, MANIFEST
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.records import read_record
from seedmint.service.batch.storage.base import MARK, Output

_SHARD = re.compile(r"data/shard-([0-9]{6})\.([a-z]+)", re.ASCII)
_PNG = re.compile(r"data/([0-9]{1,9}/)?(0|[1-9][0-9]{0,18})\.png", re.ASCII)

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
class File:
    """A file of a job.

    Attributes:
        size: bytes.
        sha256: of its content.
        content: that, if it is small; a shard is opened instead.
    """

    name: str
    size: int
    sha256: str
    content: bytes | None = None

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[PurePosixPath(self.name).suffix]


def find_file(output: Output, plan: Plan, name: str) -> File:
    """A file by its name in the job's folder. A shard is there from its record on.

    Raises:
        FileNotFoundError: there is none, or not yet.
        UserError, OSError: it cannot be read.
    """
    extension = EXTENSIONS[plan.format]
    shard = _SHARD.fullmatch(name)
    if shard and shard[2] == extension and int(shard[1]) < plan.shards:
        record = read_record(output, plan, int(shard[1]))
        return File(name, record.bytes, record.sha256)
    if name in (MARK, MANIFEST, DATA_CARD) or (extension is None and _PNG.fullmatch(name)):
        content = output.read(name)
        return File(name, len(content), sha256(content).hexdigest(), content)
    raise FileNotFoundError(name)


async def streamed(first: bytes, rest: Iterator[bytes], threads: Executor) -> AsyncIterator[bytes]:
    """The pieces of a file, read in threads as the client takes them."""
    piece, loop = first, asyncio.get_running_loop()
    while piece:
        yield piece
        piece = await loop.run_in_executor(threads, next, rest, b"")

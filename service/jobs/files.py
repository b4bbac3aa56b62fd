"""The files of a job, to be read: those that the plan names, and no others."""

import asyncio
import re
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import IO

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.batch.formats import EXTENSIONS
from service.batch.manifest import DATA_CARD, MANIFEST
from service.batch.output import MARK, Output
from service.batch.plan import Plan
from service.batch.records import read_record

_PIECE = 256 << 10  # bytes read at once
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


class FileResponse(StreamingResponse):
    """A shard, read in threads as the client takes it, and closed with the answer, sent or not."""

    def __init__(self, stack: ExitStack, file: IO[bytes], threads: Executor, headers: dict[str, str], media_type: str) -> None:
        """`stack` closes the file."""
        super().__init__(_pieces(file, threads), headers=headers, media_type=media_type)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._stack:
            await super().__call__(scope, receive, send)


async def _pieces(file: IO[bytes], threads: Executor) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    while piece := await loop.run_in_executor(threads, file.read, _PIECE):
        yield piece


def open_file(output: Output, name: str) -> tuple[ExitStack, IO[bytes]]:
    """A file, and what closes it.

    Raises:
        FileNotFoundError: there is none.
    """
    with ExitStack() as stack:
        file = stack.enter_context(output.open(name))
        return stack.pop_all(), file

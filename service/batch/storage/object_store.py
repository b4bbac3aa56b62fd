"""A job's files in an object store. An object is put at once, or in parts that become visible together."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, TypeVar

from fsspec import AbstractFileSystem
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from seedmint.models.errors import UserError
from seedmint.service.batch.storage.base import OutputError

ATTEMPTS = 7
_LONGEST_WAIT = 20.0  # seconds between two attempts
_AT_ONCE = 32  # small files sent together
_FINAL = (UserError, PermissionError, FileNotFoundError, FileExistsError, IsADirectoryError, NotImplementedError, TypeError)
# An upload that a lost answer has already ended is "not found" when it is ended again, and then sent anew.
_FINAL_OF_PUTS = tuple(kind for kind in _FINAL if kind is not FileNotFoundError)
PART_BYTES = 8 << 20  # of an S3 upload; ten are in memory at once, and s3fs's own size is 50 MiB
_MOST_PARTS = 10_000  # S3's limit
_PIECE = 4 << 20  # bytes of an object that are passed on at once

Answer = TypeVar("Answer")


class Objects:
    """A prefix of an object store. What fails is tried again, ever later; two jobs of one plan write the same bytes."""

    def __init__(self, system: AbstractFileSystem, root: str, url: str) -> None:
        self.url = url
        self._system = system
        self._root = root.rstrip("/")
        self._in_parts = "s3" in system.protocol

    def read(self, name: str) -> bytes:
        options = {"max_concurrency": 1} if self._in_parts else {}  # else its size is asked for first
        content: bytes = self._tried(lambda: self._system.cat_file(self._path(name), **options), "read", name)
        return content

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as copy:
            self._tried(lambda: self._fetch(name, copy), "read", name)
            copy.seek(0)
            yield copy

    def _fetch(self, name: str, copy: IO[bytes]) -> None:
        copy.seek(0)
        copy.truncate()
        with self._system.open(self._path(name), "rb") as file:
            shutil.copyfileobj(file, copy, 1 << 20)

    def pieces(self, name: str, size: int) -> Iterator[bytes]:
        path = self._path(name)
        for start in range(0, size, _PIECE):
            stop = min(size, start + _PIECE)
            yield self._tried(partial(self._system.cat_file, path, start=start, end=stop), "read", name)

    @contextmanager
    def write(self, name: str) -> Iterator[IO[bytes]]:
        """What is written is kept on this machine until it is whole: then it can be sent again and again."""
        with tempfile.NamedTemporaryFile() as whole:
            yield whole
            whole.flush()
            size = max(PART_BYTES, -(-whole.tell() // _MOST_PARTS))
            options = {"chunksize": size} if self._in_parts else {}
            self._tried(lambda: self._system.put_file(whole.name, self._path(name), **options), "write", name, _FINAL_OF_PUTS)

    @contextmanager
    def write_many(self) -> Iterator[Callable[[str, bytes], None]]:
        waiting: list[tuple[str, bytes]] = []
        with ThreadPoolExecutor(_AT_ONCE) as senders:

            def send() -> None:
                list(senders.map(lambda file: self._put(*file), waiting))
                waiting.clear()

            def add(name: str, content: bytes) -> None:
                waiting.append((name, content))
                if len(waiting) == _AT_ONCE:
                    send()

            yield add
            send()

    def _put(self, name: str, content: bytes) -> None:
        self._tried(lambda: self._system.pipe_file(self._path(name), content), "write", name, _FINAL_OF_PUTS)

    def create(self, name: str, content: bytes) -> None:
        try:
            self._tried(lambda: self._system.pipe_file(self._path(name), content, mode="create"), "write", name)
        except FileNotFoundError as error:
            raise OutputError(f"--out {self.url}: {error}") from None

    def names(self, folder: str) -> Iterator[str]:
        try:
            found = self._tried(lambda: self._listed(folder), "list", folder)
        except FileNotFoundError:
            return
        yield from (path.rsplit("/", 1)[-1] for path in found)

    def _listed(self, folder: str) -> list[str]:
        self._system.invalidate_cache()  # others write there, too
        found: list[str] = self._system.ls(self._path(folder), detail=False)
        return found

    def versions(self, folder: str) -> dict[str, str]:
        try:
            found = self._tried(lambda: self._described(folder), "list", folder)
        except FileNotFoundError:
            return {}
        return {about["name"].rsplit("/", 1)[-1]: repr(sorted(about.items())) for about in found}

    def _described(self, folder: str) -> list[dict[str, Any]]:
        self._system.invalidate_cache()
        found: list[dict[str, Any]] = self._system.ls(self._path(folder), detail=True)
        return found

    def find(self, folder: str) -> Iterator[str]:
        path = self._path(folder)
        try:
            found = self._tried(lambda: self._found(path), "list", folder)
        except FileNotFoundError:
            return
        yield from (name.removeprefix(f"{path}/") for name in found)

    def _found(self, path: str) -> list[str]:
        self._system.invalidate_cache()
        found: list[str] = self._system.find(path)
        return found

    @contextmanager
    def lock(self, shared: bool) -> Iterator[None]:
        """Nothing is locked there: jobs of one plan write the same bytes, and the plan keeps other jobs out."""
        yield

    def prepare(self) -> None:
        """Prefixes need no making."""

    def clean(self) -> None:
        """Nothing unfinished is visible."""

    def free(self) -> int | None:
        return None

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _tried(self, action: Callable[[], Answer], what: str, name: str, final: tuple[type[Exception], ...] = _FINAL) -> Answer:
        """Do it, and again after ever longer waits when it fails for a reason that may pass."""
        attempts = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(max=_LONGEST_WAIT),
            retry=retry_if_exception(lambda error: isinstance(error, Exception) and not _stays(error, final)),
            reraise=True,
        )
        try:
            return attempts(action)
        except Exception as error:
            if isinstance(error, final) and not isinstance(error, PermissionError):
                raise
            tried = "" if _stays(error, final) else f", tried {ATTEMPTS} times"
            told = (str(error) or repr(error)).splitlines()[0]
            raise OutputError(f"--out {self.url}: cannot {what} {name or 'it'}{tried}: {told}") from error


def _stays(error: BaseException, final: tuple[type[Exception], ...]) -> bool:
    """Whether trying again is of no use."""
    return isinstance(error, final) or type(error).__name__ == "NoCredentialsError"  # botocore's, which need not be installed

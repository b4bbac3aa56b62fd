"""Storage in an object store, through fsspec. Objects are uploaded in one request, or in parts that appear together."""

import errno
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, Any, TypeVar

from fsspec import AbstractFileSystem
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from seedmint.models.errors import UserError
from seedmint.service.batch.storage.base import PLAN_FILE, OutputError

_LOG = logging.getLogger(__name__)

ATTEMPTS = 7
_MAX_WAIT_SECONDS = 20.0  # between two attempts
_CONCURRENT_UPLOADS = 32  # of small files
_PERMANENT = (UserError, PermissionError, FileNotFoundError, FileExistsError, IsADirectoryError, NotImplementedError, TypeError)
# If the response to the end of an upload is lost, the next attempt to end the upload fails with "not found". Then upload again.
_PERMANENT_IN_UPLOADS = tuple(kind for kind in _PERMANENT if kind is not FileNotFoundError)
PART_BYTES = 8 << 20  # of an S3 upload; ten parts are in memory at once (s3fs's default is 50 MiB)
_MAX_PARTS = 10_000  # limit of S3
_CHUNK_BYTES = 4 << 20  # of an object that is streamed

Result = TypeVar("Result")


class ObjectStoreOutput:
    """A job under a prefix of an object store. Failed requests are repeated with growing delays.

    Two jobs with the same plan may write at the same time, because they write the same bytes.
    Implements `Output`, which describes the methods.

    Attributes:
        url: The URL of the prefix.
    """

    def __init__(self, system: AbstractFileSystem, root: str, url: str) -> None:
        """
        Args:
            system: The file system of fsspec.
            root: Path of the prefix in the file system.
            url: URL of the prefix, for messages.
        """
        self.url = url
        self._system = system
        self._root = root.rstrip("/")
        self._is_s3 = "s3" in system.protocol

    def read(self, name: str) -> bytes:
        options = {"max_concurrency": 1} if self._is_s3 else {}  # with more, s3fs first requests the size of the object
        content: bytes = self._retry(lambda: self._system.cat_file(self._path(name), **options), "read", name)
        return content

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as copy:
            with _temporary_space(self.url):
                self._retry(lambda: self._fetch(name, copy), "read", name)
            copy.seek(0)
            yield copy

    def _fetch(self, name: str, copy: IO[bytes]) -> None:
        copy.seek(0)
        copy.truncate()
        with self._system.open(self._path(name), "rb") as file:
            shutil.copyfileobj(file, copy, 1 << 20)

    def stream(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        path = self._path(name)
        for first in range(start, stop, _CHUNK_BYTES):
            last = min(stop, first + _CHUNK_BYTES)
            yield self._retry(partial(self._system.cat_file, path, start=first, end=last), "read", name)

    @contextmanager
    def write(self, name: str) -> Iterator[IO[bytes]]:
        """Write to a temporary local file first, so that an upload can be repeated."""
        with tempfile.NamedTemporaryFile() as file:
            with _temporary_space(self.url):
                yield file
                file.flush()
            size = max(PART_BYTES, -(-file.tell() // _MAX_PARTS))
            options = {"chunksize": size} if self._is_s3 else {}
            self._retry(
                lambda: self._system.put_file(file.name, self._path(name), **options), "write", name, _PERMANENT_IN_UPLOADS
            )

    @contextmanager
    def write_many(self) -> Iterator[Callable[[str, bytes], None]]:
        pending: list[tuple[str, bytes]] = []
        with ThreadPoolExecutor(_CONCURRENT_UPLOADS) as executor:

            def send() -> None:
                list(executor.map(lambda file: self._put(*file), pending))
                pending.clear()

            def add(name: str, content: bytes) -> None:
                pending.append((name, content))
                if len(pending) == _CONCURRENT_UPLOADS:
                    send()

            yield add
            send()

    def _put(self, name: str, content: bytes) -> None:
        self._retry(lambda: self._system.pipe_file(self._path(name), content), "write", name, _PERMANENT_IN_UPLOADS)

    def create(self, name: str, content: bytes) -> None:
        try:
            self._retry(lambda: self._system.pipe_file(self._path(name), content, mode="create"), "write", name)
        except FileNotFoundError as error:
            raise OutputError(f"{self.url}: {error}", field="out") from None
        except (OSError, NotImplementedError) as error:
            if not _is_unsupported(error):
                raise
            self._create_unconditionally(name, content)

    def _create_unconditionally(self, name: str, content: bytes) -> None:
        """Create an object in a store without conditional requests. `begin` reads the plan back and detects most conflicts."""
        _LOG.warning("%s has no conditional writes: do not start jobs with different plans there at the same time", self.url)
        if name in set(self.names("")):
            raise FileExistsError(f"{self.url}/{name}")
        self._put(name, content)

    def names(self, folder: str) -> Iterator[str]:
        try:
            paths = self._retry(lambda: self._list(folder), "list", folder)
        except FileNotFoundError:
            return
        yield from (path.rsplit("/", 1)[-1] for path in paths)

    def _list(self, folder: str) -> list[str]:
        self._system.invalidate_cache()  # other processes write there too
        paths: list[str] = self._system.ls(self._path(folder), detail=False)
        return paths

    def versions(self, folder: str) -> dict[str, str]:
        try:
            entries = self._retry(lambda: self._list_details(folder), "list", folder)
        except FileNotFoundError:
            return {}
        return {entry["name"].rsplit("/", 1)[-1]: repr(sorted(entry.items())) for entry in entries}

    def _list_details(self, folder: str) -> list[dict[str, Any]]:
        self._system.invalidate_cache()
        entries: list[dict[str, Any]] = self._system.ls(self._path(folder), detail=True)
        return entries

    def walk(self, folder: str) -> Iterator[str]:
        path = self._path(folder)
        try:
            paths = self._retry(lambda: self._walk(path), "list", folder)
        except FileNotFoundError:
            return
        yield from (name.removeprefix(f"{path}/") for name in paths)

    def _walk(self, path: str) -> list[str]:
        self._system.invalidate_cache()
        paths: list[str] = self._system.find(path)
        return paths

    def sizes(self, folder: str) -> Iterator[tuple[str, int]]:
        path = self._path(folder)
        try:
            entries = self._retry(lambda: self._walk_details(path), "list", folder)
        except FileNotFoundError:
            return
        for name, entry in entries.items():
            yield name.removeprefix(f"{path}/"), entry["size"]

    def _walk_details(self, path: str) -> dict[str, dict[str, Any]]:
        self._system.invalidate_cache()
        entries: dict[str, dict[str, Any]] = self._system.find(path, detail=True)
        return entries

    def size(self, name: str) -> int:
        size: int = self._retry(lambda: self._system.size(self._path(name)), "read", name)
        return size

    def remove_all(self) -> None:
        paths = [self._path(name) for name in self.walk("") if name != PLAN_FILE]
        if paths:
            self._retry(lambda: self._system.rm(paths), "remove", "", _PERMANENT_IN_UPLOADS)
        self.remove(PLAN_FILE)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._retry(lambda: self._system.rm_file(self._path(name)), "remove", name)

    @contextmanager
    def lock(self, shared: bool) -> Iterator[None]:
        """Run the block without a lock: jobs with the same plan write the same bytes, and `begin` refuses other plans."""
        yield

    def prepare(self) -> None:
        """Do nothing: a prefix need not be created."""

    def clean(self) -> None:
        """Do nothing: incomplete objects are not visible."""

    def free(self) -> int | None:
        return None

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _retry(
        self,
        action: Callable[[], Result],
        verb: str,
        name: str,
        permanent: tuple[type[Exception], ...] = _PERMANENT,
    ) -> Result:
        """Call `action`. After a temporary error, repeat the call with growing delays."""
        attempts = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(max=_MAX_WAIT_SECONDS),
            retry=retry_if_exception(lambda error: isinstance(error, Exception) and not _is_permanent(error, permanent)),
            reraise=True,
        )
        try:
            return attempts(action)
        except Exception as error:
            if _is_unsupported(error) or (isinstance(error, permanent) and not isinstance(error, PermissionError)):
                raise
            attempts_text = "" if _is_permanent(error, permanent) else f", after {ATTEMPTS} attempts"
            cause = (str(error) or repr(error)).splitlines()[0]
            raise OutputError(f"{self.url}: cannot {verb} {name or 'it'}{attempts_text}: {cause}", field="out") from error


@contextmanager
def _temporary_space(url: str) -> Iterator[None]:
    """Explain that the folder for temporary files is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OutputError(
            f"{tempfile.gettempdir()} is full: each worker keeps a shard of {url} there before the upload. Set TMPDIR to a "
            f"larger folder, or use a smaller shard size",
            reason="no_temporary_space",
        ) from None


def _is_unsupported(error: BaseException) -> bool:
    """Return whether the store lacks the operation: status 501, or a library without the option."""
    return isinstance(error, NotImplementedError) or getattr(error, "errno", None) in (errno.ENOSYS, errno.ENOTSUP)


def _is_permanent(error: BaseException, permanent: tuple[type[Exception], ...]) -> bool:
    """Return whether another attempt cannot succeed."""
    if _is_unsupported(error):
        return True
    # compares the name of botocore's exception, because botocore is optional
    return isinstance(error, permanent) or type(error).__name__ == "NoCredentialsError"

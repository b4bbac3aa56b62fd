"""Storage in a local folder."""

import errno
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO
from uuid import uuid4

from seedmint.models.files import sync_directory, synced_file_system, whole_file
from seedmint.service.batch.storage.base import PLAN_FILE, BusyError, InvalidOutputError, OutputError

_LOG = logging.getLogger(__name__)
_CHUNK_BYTES = 256 << 10
_SHARED_WAIT_SECONDS = 30.0
_LOCK_POLL_SECONDS = 0.1
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)  # errors of file systems without locks
_NO_RENAMES = (errno.ENOSYS, errno.ENOTSUP, errno.EPERM)  # errors of file systems that cannot rename
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)  # errors of file systems without hard links
_TEMPORARY_FILES = (
    *(".plan.json.*", ".manifest.json.*", ".README.md.*"),
    *("data/.shard-*", "data/*/.shard-*", "data/.stage-*", "data/.metadata.parquet.*", "data/*/.metadata.parquet.*"),
    "records/.[0-9]*",
)


class LocalOutput:
    """A job in a local folder. Each file is written under a hidden temporary name, synced and renamed.

    Implements `Output`, which describes the methods.

    Attributes:
        root: The folder.
        url: The folder as text.
    """

    def __init__(self, root: Path) -> None:
        """
        Args:
            root: The folder; it need not exist.
        """
        self.root = root
        self.url = str(root)
        self._has_locks = True

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return (self.root / name).open("rb")

    def stream(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        with self.open(name) as file:
            file.seek(start)
            while chunk := file.read(min(_CHUNK_BYTES, stop - start)):
                start += len(chunk)
                yield chunk

    @contextmanager
    def write(self, name: str) -> Iterator[IO[bytes]]:
        self._check_exists()
        with whole_file(self.root / name, self._move) as file:
            yield file
            self._check_exists()

    @contextmanager
    def write_many(self) -> Iterator[Callable[[str, bytes], None]]:
        """Write all files to a hidden folder, sync them together (four times faster than one by one), then rename them."""
        self._check_exists()
        (self.root / "data").mkdir(exist_ok=True)
        stage = tempfile.mkdtemp(prefix=".stage-", dir=self.root / "data")
        names: list[str] = []

        def add(name: str, content: bytes) -> None:
            descriptor = os.open(f"{stage}/{len(names)}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                while content:
                    content = content[os.write(descriptor, content) :]
            finally:
                os.close(descriptor)
            names.append(name)

        try:
            with synced_file_system(self.root):
                yield add
            self._check_exists()
            folders = {self.root / folder for folder in {name.rsplit("/", 1)[0] for name in names}}
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            for number, name in enumerate(names):
                self._move(f"{stage}/{number}", f"{self.root}/{name}")
            for folder in folders | {self.root / "data"}:
                sync_directory(folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def create(self, name: str, content: bytes) -> None:
        path, temporary = self.root / name, self.root / f".{name}.{uuid4().hex}"
        try:
            _write_new(temporary, content)
            try:
                os.link(temporary, path)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _write_new(path, content)  # for a moment others may read an incomplete file
            sync_directory(self.root)
        finally:
            temporary.unlink(missing_ok=True)

    def names(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        yield entry.name
        except FileNotFoundError:
            return

    def versions(self, folder: str) -> dict[str, str]:
        versions = {}
        for name in self.names(folder):
            with suppress(FileNotFoundError):  # removed since the listing
                status = (self.root / folder / name).stat()
                versions[name] = f"{status.st_ino} {status.st_mtime_ns} {status.st_size}"
        return versions

    def walk(self, folder: str) -> Iterator[str]:
        for path, folders, files in os.walk(self.root / folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            prefix = os.path.relpath(path, self.root / folder) + "/" if Path(path) != self.root / folder else ""
            yield from (prefix + name for name in files if not name.startswith("."))

    def sizes(self, folder: str) -> Iterator[tuple[str, int]]:
        for name in self.walk(folder):
            with suppress(FileNotFoundError):  # removed since the listing
                yield name, (self.root / folder / name).stat().st_size

    def size(self, name: str) -> int:
        return (self.root / name).stat().st_size

    def remove_all(self) -> None:
        with suppress(FileNotFoundError):
            for path in sorted(self.root.iterdir(), key=lambda path: path.name == PLAN_FILE):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            self.root.rmdir()

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    @contextmanager
    def lock(self, shared: bool) -> Iterator[None]:
        deadline = time.monotonic() + (_SHARED_WAIT_SECONDS if shared else 0)
        with (self.root / ".lock").open("ab") as file:
            while not self._try_lock(file, shared):
                if time.monotonic() >= deadline:
                    raise BusyError(f"another job is writing to {self.url}: wait for it, or stop it", field="out")
                time.sleep(_LOCK_POLL_SECONDS)
            yield

    def prepare(self) -> None:
        if self.root.is_file():
            raise InvalidOutputError(f"{self.url} is a file: use a folder", field="out", reason="not_a_folder")
        self.root.mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        if not self._has_locks:  # another job may write here
            return
        for pattern in _TEMPORARY_FILES:
            for path in self.root.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def free(self) -> int | None:
        existing = next(path for path in (self.root, *self.root.absolute().parents) if path.exists())
        usage = shutil.disk_usage(existing)
        return usage.free if usage.total else None  # some file systems do not know their size

    def _try_lock(self, file: IO[bytes], shared: bool) -> bool:
        """Try to acquire a lock. Return whether it was acquired, or is not needed.

        Without locks, two jobs with the same plan may write at the same time. They write the same bytes, so both are right.
        """
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                self._has_locks = False
                _warn_once("%s has no file locks: do not run two jobs there at the same time", self.url)
                return True
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            return False
        return True

    def _move(self, source: str | Path, target: str | Path) -> None:
        """Rename a file. Where that is not possible, copy the file.

        A killed copy leaves an incomplete file, but no record of its shard, so the next run makes the shard again.
        """
        try:
            os.replace(source, target)  # noqa: PTH105
        except OSError as error:
            if error.errno not in _NO_RENAMES:
                raise
            _warn_once("%s cannot rename files: they are copied, and a killed job may leave incomplete files", self.url)
            shutil.copyfile(source, target)
            with Path(target).open("rb+") as file:
                os.fsync(file.fileno())
            Path(source).unlink()

    def _check_exists(self) -> None:
        """Check that the folder was not moved or removed. A new folder would lack the earlier shards.

        Raises:
            OutputError: The folder or its plan is missing.
        """
        if not (self.root / PLAN_FILE).exists():
            raise OutputError(
                f"{self.url} or its {PLAN_FILE} was removed: restore it, or run the job in a new folder",
                field="out",
                reason="output_removed",
            )


def _write_new(path: Path, content: bytes) -> None:
    """Write and sync a new file. On an error no file stays."""
    with path.open("xb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink()
            raise


@cache
def _warn_once(message: str, url: str) -> None:
    _LOG.warning(message, url)

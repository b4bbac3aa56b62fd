"""Where a job's files lie: a local folder, or an object store through fsspec. A file there is whole, or it is not there."""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from seedmint.models.files import sync_directory, synced_file_system, whole_file
from seedmint.service.batch.storage.base import MARK, BusyError, OutputError, PlaceError

_PIECE = 256 << 10  # bytes
_SHARED_WAIT_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)  # what file systems without hard links say
_LEFT = (".plan.json.*", ".manifest.json.*", ".README.md.*", "data/.shard-*", "data/.stage-*", "records/.[0-9]*")


class Folder:
    """A local folder. Files are written under a hidden temporary name, synced and renamed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return (self.root / name).open("rb")

    def pieces(self, name: str, size: int) -> Iterator[bytes]:
        with self.open(name) as file:
            while piece := file.read(_PIECE):
                yield piece

    @contextmanager
    def write(self, name: str) -> Iterator[IO[bytes]]:
        self._check_there()
        with whole_file(self.root / name) as file:
            yield file
            self._check_there()

    @contextmanager
    def write_many(self) -> Iterator[Callable[[str, bytes], None]]:
        """All are written to a hidden folder, synced at once (each for itself takes four times as long), and renamed."""
        self._check_there()
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
            self._check_there()
            folders = {self.root / folder for folder in {name.rsplit("/", 1)[0] for name in names}}
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            for number, name in enumerate(names):
                os.replace(f"{stage}/{number}", f"{self.root}/{name}")  # noqa: PTH105
            for folder in folders | {self.root / "data"}:
                sync_directory(folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def create(self, name: str, content: bytes) -> None:
        path, half = self.root / name, self.root / f".{name}.{uuid4().hex}"
        try:
            _write_new(half, content)
            try:
                os.link(half, path)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _write_new(path, content)  # for a moment it can be seen half-written
            sync_directory(self.root)
        finally:
            half.unlink(missing_ok=True)

    def names(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        yield entry.name
        except FileNotFoundError:
            return

    def versions(self, folder: str) -> dict[str, str]:
        found = {}
        for name in self.names(folder):
            with suppress(FileNotFoundError):  # it has just gone
                about = (self.root / folder / name).stat()
                found[name] = f"{about.st_ino} {about.st_mtime_ns} {about.st_size}"
        return found

    def find(self, folder: str) -> Iterator[str]:
        for place, folders, files in os.walk(self.root / folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            between = os.path.relpath(place, self.root / folder) + "/" if Path(place) != self.root / folder else ""
            yield from (between + name for name in files if not name.startswith("."))

    @contextmanager
    def lock(self, shared: bool) -> Iterator[None]:
        until = time.monotonic() + (_SHARED_WAIT_SECONDS if shared else 0)
        with (self.root / ".lock").open("ab") as file:
            while not _locked(file, shared):
                if time.monotonic() >= until:
                    raise BusyError(f"--out {self.url}: another job is writing there: wait for it, or stop it")
                time.sleep(_LOOK_SECONDS)
            yield

    def prepare(self) -> None:
        if self.root.is_file():
            raise PlaceError(f"--out {self.url} is a file: give a folder")
        self.root.mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        for pattern in _LEFT:
            for left in self.root.glob(pattern):
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()

    def free(self) -> int | None:
        place = next(path for path in (self.root, *self.root.absolute().parents) if path.exists())
        return shutil.disk_usage(place).free

    def _check_there(self) -> None:
        """A folder that was moved or removed must not be begun anew, with a part of the shards."""
        if not (self.root / MARK).exists():
            raise OutputError(
                f"--out {self.url}: the folder, or its {MARK}, has vanished; what was not there is not begun anew"
            )


def _write_new(path: Path, content: bytes) -> None:
    """A file that must not be there yet, on the disk, or none."""
    with path.open("xb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink()
            raise


def _locked(file: IO[bytes], shared: bool) -> bool:
    """Whether the lock is to be had now."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True

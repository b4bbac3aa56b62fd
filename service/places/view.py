"""The files of one remote place on this machine: a folder of hard links to files of the cache, and an index.

On a file system without hard links, the view has the only copy of a file: the file moves there from the cache, and back.

The folder outlives the server, so that a server that starts while the store is down serves the files that it had before. A
server locks the folder while it uses it: a second server with the same place has a folder of its own, and the cache removes
only folders without a lock.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from seedmint.models.files import write_whole
from seedmint.models.places import place_name

_FOLDER = "places"
_INDEX = "index.json"
_LOCK = ".lock"
_MAX_SERVERS = 64  # with one place and one cache
# Errors of link(2) on file systems without hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK})


@dataclass(frozen=True, slots=True)
class ViewFile:
    """One file of the view.

    Attributes:
        version: Version of the remote file.
        digest: SHA-256.
        modified: Time of the last change in seconds since 1970, or of the first download if the place does not say.
    """

    version: str
    digest: str
    modified: float


@dataclass(slots=True)
class _Index:
    files: dict[str, ViewFile] = field(default_factory=dict)
    aliases_version: str | None = None
    aliases: str | None = None


class View:
    """The files of one remote place on this machine.

    Attributes:
        is_known: Whether the place was listed at any time, also by an earlier server.
    """

    def __init__(self, cache: Path, url: str) -> None:
        """Open the view of a place, and lock it. Damaged files are forgotten.

        Args:
            cache: Directory of the cache.
            url: URL of the place.

        Raises:
            OSError: The directory is not writable.
        """
        self._cache = cache
        self._url = url
        self._directory, self._lock = _acquire(cache / _FOLDER / hashlib.sha256(url.encode()).hexdigest()[:16])
        self._index = self._read()
        self.is_known = self._index is not None
        self._present = self._index or _Index()
        self._forget_damaged()

    def close(self) -> None:
        """Release the lock. The files stay."""
        os.close(self._lock)

    @property
    def files(self) -> dict[str, ViewFile]:
        """The files by stem."""
        return dict(self._present.files)

    @property
    def aliases(self) -> str | None:
        """Content of the file `aliases`; None if there is none."""
        return self._present.aliases

    @property
    def aliases_version(self) -> str | None:
        """Version of the file `aliases`; None if there is none."""
        return self._present.aliases_version

    def path(self, stem: str) -> Path:
        """Return the path of a file.

        Args:
            stem: Name of the file without suffix.
        """
        return self._directory / f"{stem}.onnx"

    def put(self, stem: str, file: ViewFile) -> None:
        """Add or replace a file.

        Args:
            stem: Name of the file without suffix.
            file: The file, which the cache has.

        Raises:
            OSError: The directory is not writable, or the cache has no such file.
        """
        temporary = self._directory / f".{uuid4().hex}"
        try:
            _link_or_move(self._cache / f"{file.digest}.onnx", temporary)
            temporary.replace(self.path(stem))
        finally:
            temporary.unlink(missing_ok=True)  # a replacement by a link to the same file changes nothing
        self._touch(self._present.files.get(stem))
        self._present.files[stem] = file
        self._write()

    def remove(self, stem: str) -> None:
        """Remove a file. The cache keeps the content while there is room.

        Args:
            stem: Name of the file without suffix.
        """
        file = self._present.files.pop(stem)
        self._write()
        if not (self._cache / f"{file.digest}.onnx").exists():  # moved there
            with suppress(FileNotFoundError):
                self.path(stem).replace(self._cache / f"{file.digest}.onnx")
        self.path(stem).unlink(missing_ok=True)
        self._touch(file)

    def set_aliases(self, version: str | None, text: str | None) -> None:
        """Replace the file `aliases`.

        Args:
            version: Version of the file; None if there is none.
            text: Content of the file.
        """
        self._present.aliases_version, self._present.aliases = version, text
        self._write()

    def set_known(self) -> None:
        """Record that the place was listed."""
        if not self.is_known:
            self.is_known = True
            self._write()

    def _touch(self, file: ViewFile | None) -> None:
        """Count a file as used until now."""
        if file is not None:
            with suppress(OSError):
                os.utime(self._cache / f"{file.digest}.onnx")

    def _read(self) -> _Index | None:
        try:
            document = json.loads((self._directory / _INDEX).read_text(encoding="utf-8"))
            files = {stem: ViewFile(**entry) for stem, entry in document["files"].items()}
            return _Index(files, document["aliases_version"], document["aliases"])
        except (OSError, ValueError, KeyError, TypeError):  # absent or damaged
            return None

    def _write(self) -> None:
        document: dict[str, Any] = {"url": place_name(self._url), **asdict(self._present)}
        write_whole(self._directory / _INDEX, json.dumps(document).encode())

    def _forget_damaged(self) -> None:
        for temporary in self._directory.glob(".*"):  # of a server that was killed
            if temporary.name != _LOCK:
                temporary.unlink(missing_ok=True)
        kept: dict[str, ViewFile] = {}
        for stem, file in self._present.files.items():
            try:
                with self.path(stem).open("rb") as opened:
                    if hashlib.file_digest(opened, "sha256").hexdigest() == file.digest:
                        kept[stem] = file
                        continue
            except OSError:
                pass
            self.path(stem).unlink(missing_ok=True)
            (self._cache / f"{file.digest}.onnx").unlink(missing_ok=True)
        self._present.files = kept


def drop_unused_view(cache: Path) -> bool:
    """Remove the view that was not used for the longest time, unless servers use all views.

    Args:
        cache: Directory of the cache.

    Returns:
        Whether a view was removed.
    """
    for directory in sorted((cache / _FOLDER).glob("*/"), key=_last_use):
        with _exclusive(directory) as is_unused:
            if is_unused and _removes_files(directory):
                return True
    return False


def _removes_files(directory: Path) -> bool:
    """Remove a view. Return whether fewer generator files are there."""
    removed = directory.with_name(f".{uuid4().hex}")  # a server that starts now makes a new folder
    try:
        before = len(list(directory.glob("*.onnx")))
        directory.rename(removed)
    except OSError:
        return False
    shutil.rmtree(removed, ignore_errors=True)
    return len(list(removed.glob("*.onnx"))) < before


def copies(cache: Path) -> int:
    """Return the size in bytes of all files of views that are no hard links to a file of the cache.

    Args:
        cache: Directory of the cache.
    """
    total = 0
    for path in (cache / _FOLDER).glob("*/*.onnx"):
        with suppress(FileNotFoundError):
            status = path.stat()
            total += status.st_size if status.st_nlink == 1 else 0
    return total


def _link_or_move(source: Path, target: Path) -> None:
    """Make a hard link; move the file where the file system has no hard links, so that there is one copy."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        source.replace(target)


def _acquire(directory: Path) -> tuple[Path, int]:
    """Lock the first folder that no other server uses, and return the folder and the descriptor of the lock."""
    for number in range(_MAX_SERVERS):
        candidate = directory if number == 0 else directory.with_name(f"{directory.name}-{number}")
        with suppress(BlockingIOError):
            return candidate, _lock_new(candidate)
    raise OSError(errno.EBUSY, f"{_MAX_SERVERS} servers use the same place with this cache")


def _lock_new(directory: Path) -> int:
    """Make a folder unless there is one, and lock it."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process has removed the folder since
            return _lock(directory)


def _last_use(directory: Path) -> float:
    try:
        return (directory / _INDEX).stat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def _exclusive(directory: Path) -> Iterator[bool]:
    try:
        lock = _lock(directory)
    except OSError:  # a server uses the view
        yield False
        return
    try:
        yield True
    finally:
        os.close(lock)


def _lock(directory: Path) -> int:
    """Lock a view until the descriptor is closed, or the process ends.

    Raises:
        BlockingIOError: Another process has the lock.
        FileNotFoundError: There is no such folder, or another process has removed it.
    """
    import fcntl  # absent on Windows, where nothing serves

    lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(lock), (directory / _LOCK).stat()):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(directory))
    except OSError:
        os.close(lock)
        raise
    return lock

"""The files of the models directory, and the thread with which the supervisor follows their changes."""

import contextlib
import os
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from seedmint.models.errors import UserError, one_line
from seedmint.models.runtime.generator_file import GeneratorError
from seedmint.service.batching.other_files import OtherFiles

FileVersion = tuple[int, int, int, int]
"""Identifies a version of a file: times of modification and change in ns, size in bytes, inode."""


def list_files(directory: Path) -> dict[str, FileVersion]:
    """Return the present version of each generator file, by stem.

    Args:
        directory: The models directory.

    Raises:
        OSError: The directory cannot be read.
    """
    found: dict[str, FileVersion] = {}
    for path in sorted(path for path in directory.iterdir() if path.suffix == ".onnx" and path.name[0] != "."):
        with contextlib.suppress(OSError):  # removed since it was listed
            found[path.stem] = _version_of(path.stat())
    return found


def check_inside(path: Path, directory: Path) -> None:
    """Check that a file is in the models directory, also if it is a symbolic link.

    Args:
        path: The file.
        directory: The models directory.

    Raises:
        GeneratorError: The file is a link to a file outside the directory.
    """
    if not path.resolve().is_relative_to(directory.resolve()):
        raise GeneratorError("a symbolic link to a file outside the models directory", reason="outside_directory")


def reason_and_message(error: Exception) -> tuple[str, str]:
    """Return a stable code for an error, and its message in one line.

    Args:
        error: Why a file or the directory cannot be used.
    """
    if isinstance(error, UserError):
        return error.reason, one_line(error)
    if isinstance(error, OSError):
        return "unreadable", one_line(error.strerror or error)
    return "unexpected", one_line(f"{type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Change:
    """A new version of a file.

    Attributes:
        stem: Name of the file without suffix.
        version: The version.
        descriptor: The open file, which stays the same file if another file replaces it; None if the version is refused.
        error: Why the version is refused; None if it is not.
    """

    stem: str
    version: FileVersion
    descriptor: int | None
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Scan:
    """The changes between two scans.

    Attributes:
        changes: New versions.
        removed: Stems of removed files.
        warnings: One line for each file of another format.
        error: Why the directory cannot be read; None if the scan succeeded.
    """

    changes: tuple[Change, ...] = ()
    removed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: Exception | None = None


class DirectoryScanner:
    """Scans the models directory in a thread of its own, because a network file system may block for a long time."""

    def __init__(self, directory: Path, interval_seconds: float) -> None:
        """
        Args:
            directory: The models directory.
            interval_seconds: Time between two scans.
        """
        self._directory = directory
        self._interval = interval_seconds
        self._other_files = OtherFiles(directory)
        self._seen: dict[str, FileVersion] = {}
        self._reported: dict[str, FileVersion] = {}
        self._has_scanned = False
        self._wake = threading.Event()
        self._is_closed = False
        self._scans: deque[Scan] = deque()
        self._retries: deque[str] = deque()
        self._thread = threading.Thread(target=self._run, name="seedmint-scan", daemon=True)

    def start(self) -> None:
        """Start to scan."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the scan in progress."""
        self._is_closed = True
        self._wake.set()

    def scan_soon(self) -> None:
        """Start the next scan at once."""
        self._wake.set()

    def retry(self, stem: str) -> None:
        """Report the present version of a file again at the next scan.

        Args:
            stem: Name of the file without suffix.
        """
        self._retries.append(stem)

    def take(self) -> list[Scan]:
        """Return the scans since the last call, the oldest first."""
        scans = []
        while self._scans:
            scans.append(self._scans.popleft())
        return scans

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.clear()
            try:
                self._scans.append(self.scan())
            except Exception as error:  # the next scan may succeed
                self._scans.append(Scan(error=error))
            self._wake.wait(self._interval)

    def scan(self) -> Scan:
        """Compare the directory with the last scan.

        Raises:
            OSError: The directory cannot be read.
        """
        while self._retries:
            self._reported.pop(self._retries.popleft(), None)
        found = list_files(self._directory)
        warnings = tuple(self._other_files.new_messages())
        removed = tuple(self._seen.keys() - found.keys())
        for stem in removed:
            self._reported.pop(stem, None)
        # Report a file when two scans find the same version, because a file is incomplete while it is copied. The first scan
        # reports all files.
        changed = [
            stem
            for stem, version in found.items()
            if version != self._reported.get(stem) and (version == self._seen.get(stem) or not self._has_scanned)
        ]
        self._seen = found
        changes = tuple(self._open(stem, found[stem]) for stem in changed)
        self._has_scanned = True
        return Scan(changes, removed, warnings)

    def _open(self, stem: str, version: FileVersion) -> Change:
        path = self._directory / f"{stem}.onnx"
        try:
            check_inside(path, self._directory)
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except Exception as error:
            if not isinstance(error, OSError):  # an unreadable file is tried again at each scan
                self._reported[stem] = version
            return Change(stem, version, None, error)
        self._reported[stem] = version
        return Change(stem, _version_of(os.fstat(descriptor)), descriptor, None)


def _version_of(status: os.stat_result) -> FileVersion:
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)

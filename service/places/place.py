"""What the scanner knows of a place: its files on this machine, and whether the place can be read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

FileVersion = tuple[int, ...]
"""Identifies a version of a local file: times of modification and change in ns, size in bytes, inode."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A generator file on this machine.

    Attributes:
        path: The file.
        version: The version of the file.
        modified: Time of the last change in seconds since 1970.
        is_whole: Whether the file is known to be complete. A file of a folder may still be written.
    """

    path: Path
    version: FileVersion
    modified: float
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class PlaceStatus:
    """Whether a place can be read.

    Attributes:
        name: Name in logs and metrics.
        error: Why the last attempt failed; None if it succeeded, or if there was none.
        read_at: Time of the last success of a remote place in seconds of `time.monotonic`; None for folders, and if this server
            has not read the place yet.
        is_known: Whether the files of the place are known, also from an earlier server.
        is_tried: Whether this server has tried to read the place.
    """

    name: str
    error: Exception | None = None
    read_at: float | None = None
    is_known: bool = False
    is_tried: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a place.

    Attributes:
        files: The files by stem.
        errors: Why a file of the place is not among the files, or not its newest version, by stem.
        aliases: Content of the file `aliases`; None if there is none.
        aliases_error: Why the present file `aliases` cannot be read; None if it can.
    """

    files: Mapping[str, FoundFile] = field(default_factory=dict)
    errors: Mapping[str, Exception] = field(default_factory=dict)
    aliases: str | None = None
    aliases_error: Exception | None = None


class Place(Protocol):
    """A place of generator files."""

    name: str

    def start(self, on_change: Callable[[], None]) -> None:
        """Begin to follow the place.

        Args:
            on_change: Called from any thread when files have changed.
        """

    def close(self) -> None:
        """End."""

    def refresh(self) -> None:
        """Look for changes at once."""

    def list(self) -> Listing:
        """Return the files. Never waits for a network.

        Raises:
            OSError: The folder cannot be read.
        """

    def open(self, file: FoundFile) -> int:
        """Return the descriptor of an open file.

        Args:
            file: The file, from `list`.

        Raises:
            UserError: The file is refused.
            OSError: The file cannot be read.
        """

    def status(self) -> PlaceStatus:
        """Return whether the place can be read."""

"""The interface of a job's storage, and its errors."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Protocol

from seedmint.models.errors import UserError

PLAN_FILE = "plan.json"  # an output that has this file holds a job


class OutputError(UserError):
    """The output is not usable now. A later try may succeed."""

    reason = "output_unavailable"


class InvalidOutputError(OutputError):
    """The output can never hold a job."""

    reason = "invalid_output"
    status = 2


class BusyError(OutputError):
    """Another job is writing to the output."""

    reason = "output_busy"


class Output(Protocol):
    """The folder of a job. Names are relative to the folder and use slashes.

    A file is either complete or does not exist.

    Attributes:
        url: The path or URL of the folder, for messages.
    """

    url: str

    def read(self, name: str) -> bytes:
        """Read a file.

        Args:
            name: Name of the file.

        Raises:
            FileNotFoundError: There is no such file.
        """
        ...

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file for reading, with random access.

        Args:
            name: Name of the file.

        Raises:
            FileNotFoundError: There is no such file.
        """
        ...

    def stream(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield a range of the bytes of a file in chunks, with little of it in memory.

        Args:
            name: Name of the file.
            start: First byte.
            stop: End of the range, exclusive; at most the size of the file.

        Raises:
            FileNotFoundError: There is no such file.
        """
        ...

    def write(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file for writing from start to end. It appears, or replaces the old file, when the block ends without error.

        Args:
            name: Name of the file.
        """
        ...

    def write_many(self) -> AbstractContextManager[Callable[[str, bytes], None]]:
        """Return a function that writes small files (name, content). All of them exist when the block ends without error."""
        ...

    def create(self, name: str, content: bytes) -> None:
        """Write a file that must not exist yet.

        Args:
            name: Name of the file, in no subfolder.
            content: Its content.

        Raises:
            FileExistsError: The file exists.
        """
        ...

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the files in a folder, relative to that folder, in any order. A missing folder has none.

        Args:
            folder: Name of the folder; "" for the output itself.
        """
        ...

    def walk(self, folder: str) -> Iterator[str]:
        """Yield the names of all files below a folder, relative to that folder, in any order. A missing folder has none.

        Args:
            folder: Name of the folder.
        """
        ...

    def sizes(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield the name and the size in bytes of all files below a folder, as `walk` names them.

        Args:
            folder: Name of the folder.
        """
        ...

    def size(self, name: str) -> int:
        """Return the size of a file in bytes.

        Args:
            name: Name of the file.

        Raises:
            FileNotFoundError: There is no such file.
        """
        ...

    def remove_all(self) -> None:
        """Remove the whole folder, `PLAN_FILE` last. A missing folder is not an error."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file. A missing file is not an error.

        Args:
            name: Name of the file.
        """
        ...

    def versions(self, folder: str) -> dict[str, str]:
        """Return the names of the files in a folder, each with a text that changes when the file changes.

        Args:
            folder: Name of the folder.
        """
        ...

    def lock(self, shared: bool) -> AbstractContextManager[None]:
        """Lock the output while the block runs. An object store has no locks: there, the block always runs.

        Args:
            shared: Allow other shared locks. A shared lock waits a while, because a job holds its exclusive lock only briefly
                for cleaning when several parts run.

        Raises:
            BusyError: Another job holds the lock.
        """
        ...

    def prepare(self) -> None:
        """Create the folder if it does not exist.

        Raises:
            OSError: The folder cannot be created.
        """
        ...

    def clean(self) -> None:
        """Remove the temporary files of killed processes. Call this only while no other process writes."""
        ...

    def free(self) -> int | None:
        """Return the free space in bytes, or None if it is unknown."""
        ...

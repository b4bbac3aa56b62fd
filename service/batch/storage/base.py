"""The interface of a job's storage, and its errors."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Protocol

from seedmint.models.errors import UserError

MARK = "plan.json"  # the file that makes a folder a job's output


class OutputError(UserError):
    """The output cannot be used as it is."""


class PlaceError(OutputError):
    """No job can be made there at all."""

    status = 2


class BusyError(OutputError):
    """Another job has the output."""


class Output(Protocol):
    """A job's folder. Names in it have slashes; a name that ends in a slash is a folder.

    Attributes:
        url: the folder, as messages tell it.
    """

    url: str

    def read(self, name: str) -> bytes:
        """A whole file. Raises FileNotFoundError."""
        ...

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file to read in any order. Raises FileNotFoundError."""
        ...

    def pieces(self, name: str, size: int) -> Iterator[bytes]:
        """The `size` bytes of a file, of which little is in memory at a time. Raises FileNotFoundError."""
        ...

    def write(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file to write from start to end. It appears, or replaces the one there was, when the block ends without error."""
        ...

    def write_many(self) -> AbstractContextManager[Callable[[str, bytes], None]]:
        """A function to add small files with. Each appears whole; when the block has ended without error, all are there."""
        ...

    def create(self, name: str, content: bytes) -> None:
        """A file that must not be there yet. Raises FileExistsError."""
        ...

    def names(self, folder: str) -> Iterator[str]:
        """The names of the files in a folder, without the folder's, in any order; none where there is no such folder."""
        ...

    def find(self, folder: str) -> Iterator[str]:
        """The same of all files below a folder, with the names of the folders between."""
        ...

    def versions(self, folder: str) -> dict[str, str]:
        """The names of the files in a folder, each with a text that changes when the file does."""
        ...

    def lock(self, shared: bool) -> AbstractContextManager[None]:
        """Keep other jobs out while the block runs, or, if shared, those that would have it alone. Raises BusyError.

        Who shares waits a while: another part of the job that has it alone only clears up.
        """
        ...

    def prepare(self) -> None:
        """Make the folder. Raises OSError."""
        ...

    def clean(self) -> None:
        """Remove what killed processes have left. Only when no other writes here."""
        ...

    def free(self) -> int | None:
        """Bytes that there is room for, or None where that cannot be told."""
        ...

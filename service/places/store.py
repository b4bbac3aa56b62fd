"""What a remote place offers, without its protocol."""

from dataclasses import dataclass
from typing import IO, Protocol

from seedmint.models.errors import UserError

ALIASES_FILE = "aliases"
MAX_ALIASES_BYTES = 1 << 20


class StoreError(UserError):
    """A remote place cannot be read, or one of its files is not what the place says."""

    reason = "download_failed"


def check_aliases_size(content: bytes) -> None:
    """Check the size of a file `aliases`.

    Args:
        content: The file, or more than the allowed number of bytes of it.

    Raises:
        StoreError: The file is too large.
    """
    if len(content) > MAX_ALIASES_BYTES:
        raise StoreError(f"{ALIASES_FILE} is larger than {MAX_ALIASES_BYTES} bytes", reason="too_large_file")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a remote place.

    Attributes:
        stem: Name of the file without suffix.
        version: Text that changes when the file changes, such as its ETag.
        size: Size in bytes; None if the place does not say.
        modified: Time of the last change in seconds since 1970; None if the place does not say.
        digest: SHA-256; None if the place does not say.
    """

    stem: str
    version: str
    size: int | None = None
    modified: float | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteListing:
    """The files of a remote place.

    Attributes:
        files: The generator files.
        aliases: Version of the file `aliases`; None if there is none.
    """

    files: tuple[RemoteFile, ...]
    aliases: str | None = None


class Store(Protocol):
    """A remote place. Every method may raise any error of its library."""

    def list(self) -> RemoteListing:
        """Return the present files."""

    def fetch(self, file: RemoteFile, target: IO[bytes]) -> None:
        """Write the content of a file.

        Args:
            file: The file, from `list`.
            target: Receives the content.
        """

    def read_aliases(self) -> bytes:
        """Return the content of the file `aliases`."""

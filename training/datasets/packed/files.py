"""The files of a source: a local path, or a URL such as s3://bucket/photos, through fsspec."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec

from seedmint.models.installation import install_command
from seedmint.training.datasets.dataset import DataError

_STAMPS = ("mtime", "ETag", "etag", "LastModified", "updated", "md5Hash", "created")  # what file systems call a change

_SUFFIXES = (".gz", ".tar", ".tgz", ".zip", ".npz", ".npy", ".parquet")


@dataclass(frozen=True)
class File:
    """One file.

    Attributes:
        path: Path on the file system.
        name: Path relative to the source, with slashes.
        size: Bytes.
        stamp: Changes when the file changes.
    """

    path: str
    name: str
    size: int
    stamp: str


class Files:
    """All files of a source, sorted by name.

    Args:
        location: A path or a URL.

    Attributes:
        location: The path or URL.
        is_directory: Whether the location is a directory.
        all: The files.
        directories: Names of all directories inside the location.

    Raises:
        DataError: The location does not exist or cannot be read, or a library for its URL is missing.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        try:
            self._system, root = fsspec.core.url_to_fs(location)
            self.is_directory = bool(self._system.isdir(root))
            if not self.is_directory and not self._system.exists(root):
                raise FileNotFoundError(location)
            found = (
                self._system.find(root, withdirs=True, detail=True) if self.is_directory else {root: self._system.info(root)}
            )
        except FileNotFoundError:
            raise DataError(f"{location} does not exist", field="data.path", reason="not_found") from None
        except ImportError as error:
            message = f"{location} needs a library that is not installed: {error}; for s3:// run {install_command('s3')}"
            raise DataError(message, field="data.path", reason="library_missing") from None
        except Exception as error:  # each kind of object store has its own types
            message = f"{location} cannot be read: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            raise DataError(message, field="data.path", reason="unreadable") from None
        start = len(root.rstrip("/")) + 1
        names = {path: path[start:] or PurePosixPath(path).name for path in found}
        self.all = tuple(
            File(path, names[path], int(info["size"] or 0), str(next((info[key] for key in _STAMPS if key in info), "")))
            for path, info in sorted(found.items())
            if info["type"] == "file"
        )
        directories = [path for path, info in found.items() if info["type"] == "directory" and len(path) > start]
        self.directories = tuple(sorted(names[path] for path in directories))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the path, size and time of each file, in hexadecimal. Changes when the files change."""
        entries = [(file.path, file.size, file.stamp) for file in self.all]
        return hashlib.sha256(json.dumps(entries).encode()).hexdigest()

    def open(self, file: File) -> IO[bytes]:
        """Open a file for reading.

        Args:
            file: One of `all`.
        """
        opened: Any = self._system.open(file.path, "rb")
        return opened  # type: ignore[no-any-return]

    def read(self, file: File) -> bytes:
        """Return the content of a file.

        Args:
            file: One of `all`.
        """
        content: bytes = self._system.cat_file(file.path)
        return content

    def with_suffix(self, *suffixes: str) -> list[File]:
        """Return the files that end in one of the suffixes and are not hidden.

        Args:
            suffixes: In lower case, such as ".tar".
        """
        return [file for file in self.all if file.name.lower().endswith(suffixes) and not is_hidden(file.name)]


def source_name(location: str) -> str:
    """Return the last part of a path or URL, without the suffix of a file.

    Args:
        location: The path or URL.
    """
    path = PurePosixPath(location.rstrip("/")) if "://" in location else Path(location).resolve()
    name = path.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name or "images"


def is_hidden(name: str) -> bool:
    """Return whether a file belongs to a program or system, such as `.ipynb_checkpoints/a.png`, `._a.png` or `__MACOSX/a.png`.

    Args:
        name: Path relative to the source, with slashes.
    """
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)

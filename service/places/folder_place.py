"""A folder of generator files."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from seedmint.models.errors import UserError
from seedmint.service.places.place import FoundFile, Listing, PlaceStatus
from seedmint.service.places.store import ALIASES_FILE, MAX_ALIASES_BYTES, check_aliases_size

_NANOSECOND = 1e-9


class FolderPlace:
    """A folder. The scanner lists it at its own interval."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: The folder.
        """
        self.name = str(folder)
        self.folder = folder
        self._status = PlaceStatus(self.name)

    def start(self, on_change: Callable[[], None]) -> None:
        """Do nothing: the scanner lists folders."""

    def close(self) -> None:
        """Do nothing."""

    def refresh(self) -> None:
        """Do nothing: the scanner lists folders."""

    def list(self) -> Listing:
        """Implement `Place`."""
        try:
            listing = read_folder(self.folder)
        except Exception as error:
            self._status = PlaceStatus(self.name, error, None, self._status.is_known, True)
            raise
        self._status = PlaceStatus(self.name, None, None, True, True)
        return listing

    def open(self, file: FoundFile) -> int:
        """Implement `Place`."""
        check_inside(file.path, self.folder)
        return os.open(file.path, os.O_RDONLY | os.O_NONBLOCK)

    def status(self) -> PlaceStatus:
        """Implement `Place`."""
        return self._status


def read_folder(folder: Path) -> Listing:
    """Return the files of a folder.

    Args:
        folder: The folder.

    Raises:
        OSError: The folder cannot be read.
    """
    files = list_files(folder)
    try:
        return Listing(files, aliases=_read_aliases(folder))
    except (OSError, UserError) as error:
        return Listing(files, aliases_error=error)


def _read_aliases(folder: Path) -> str | None:
    path = folder / ALIASES_FILE
    check_inside(path, folder)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_ALIASES_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError):
        return None
    check_aliases_size(content)
    return content.decode(errors="replace")


def list_files(folder: Path) -> dict[str, FoundFile]:
    """Return the present version of each generator file, by stem.

    Args:
        folder: The folder.

    Raises:
        OSError: The folder cannot be read.
    """
    found: dict[str, FoundFile] = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix == ".onnx" and path.name[0] != "."):
        with contextlib.suppress(OSError):  # removed since it was listed
            status = path.stat()
            version = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            found[path.stem] = FoundFile(path, version, status.st_mtime_ns * _NANOSECOND)
    return found


def check_inside(path: Path, folder: Path) -> None:
    """Check that a file is in its folder, also if it is a symbolic link.

    Links of tools that keep the content beside the folder are allowed: from a snapshot of the Hugging Face cache to its
    `blobs`, and from a workspace of DVC to the cache of DVC.

    Args:
        path: The file.
        folder: The folder.

    Raises:
        UserError: The file is a link to a file outside the folder.
    """
    if not path.is_symlink():
        return
    target, root = path.resolve(), folder.resolve()
    if not any(target.is_relative_to(allowed) for allowed in (root, *_content_folders(root))):
        raise UserError("a symbolic link to a file outside the models directory", reason="outside_directory")


def _content_folders(root: Path) -> list[Path]:
    """Return the folders where tools keep the content of the links in a folder."""
    found = []
    for parent in (root, *root.parents):
        if parent.parent.name == "snapshots" and (parent.parent.parent / "blobs").is_dir():
            found.append(parent.parent.parent / "blobs")
        if (parent / ".dvc").is_dir():
            found.append(parent / ".dvc" / "cache")
            break
    return [folder.resolve() for folder in found]

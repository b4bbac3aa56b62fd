"""Writes files atomically: a file is either complete or absent."""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any
from uuid import uuid4


@contextmanager
def whole_file(path: Path, move: Callable[[Path, Path], object] = Path.replace) -> Iterator[IO[bytes]]:
    """Return a context with a temporary binary file. At the end of the context, the file is synced and renamed to `path`.

    After an error inside the context, no file remains. Missing parent directories are created.

    Args:
        path: The file to write. It is replaced if it exists.
        move: Renames the temporary file to `path`.

    Raises:
        OSError: The directory is not writable, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        move(temporary, path)
        sync_directory(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # write(2) and fsync(2) name no file
        raise


def sync_directory(directory: Path) -> None:
    """Write the entries of a directory to the disk, so that new names survive a loss of power.

    Some network file systems cannot do this; they write new names at once.

    Args:
        directory: The directory.

    Raises:
        OSError: The directory cannot be synchronised.
    """
    if os.name == "nt":  # Windows cannot open directories, and syncs names automatically
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def synced_file_system(directory: Path) -> Iterator[None]:
    """Return a context that ends when everything written inside it to the file system of a directory is on the disk.

    For many small files this is faster than one fsync(2) for each file. It uses syncfs(2) of Linux, which reports write errors
    since Linux 5.8. Other systems use sync(2), which synchronises all file systems.

    Args:
        directory: A directory of the file system.

    Raises:
        OSError: Data may be lost.
    """
    descriptor = os.open(directory, os.O_RDONLY)  # opened before writing: syncfs reports errors that happen after the open
    try:
        yield
        syncfs = _syncfs()
        if syncfs is None:
            os.sync()
        elif syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(directory))
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> Any:
    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically, as `whole_file` does.

    Args:
        path: The file to write. It is replaced if it exists.
        content: The bytes of the file.

    Raises:
        OSError: The directory is not writable, or the disk is full.
    """
    with whole_file(path) as file:
        file.write(content)

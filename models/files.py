"""Files that are either whole or not there."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any
from uuid import uuid4


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write `path` with. It gets its name when all is written and on the disk; an error leaves nothing behind.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with half.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
        sync_directory(path.parent)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


def sync_directory(directory: Path) -> None:
    """So that the new name, too, outlives a loss of power."""
    if os.name == "nt":  # Windows opens no directories, and needs not
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def synced_file_system(directory: Path) -> Iterator[None]:
    """All that the block writes to the file system of a directory is on the disk when it ends without error.

    Of many small files that is cheaper than one by one. By syncfs(2) of Linux, which tells what went wrong (from 5.8 on);
    elsewhere by sync(2), which syncs all other file systems, too.

    Raises:
        OSError: something that was written there may be lost.
    """
    descriptor = os.open(directory, os.O_RDONLY)  # before the block: errors are told of what came after
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
    """Write all of a file at once, by `whole_file`."""
    with whole_file(path) as file:
        file.write(content)

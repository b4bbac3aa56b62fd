"""Locks of files that end with the process that has them."""

from pathlib import Path
from typing import IO


def new_locked(path: Path) -> IO[bytes]:
    """Return a new file that is locked until it is closed, or the process ends. File systems without locks do not lock it.

    Args:
        path: The file, which does not exist.

    Raises:
        OSError: The directory is not writable.
    """
    while True:
        file = path.open("xb")
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)  # waits for another process that is about to remove the file
        except (ImportError, OSError):  # Windows, or a file system without locks
            return file
        if path.exists():  # otherwise another process has removed the file before it was locked
            return file
        file.close()


def remove_unlocked(path: Path) -> None:
    """Remove a file, unless a process has locked it, or the file system has no locks.

    Args:
        path: The file.

    Raises:
        OSError: The file cannot be opened or removed.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        path.unlink()  # while the file is locked, so that `new_locked` returns no removed file

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

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (ImportError, OSError):  # Windows, or a file system without locks
            return file
        if path.exists():  # otherwise another process has removed the file before it was locked
            return file
        file.close()


def is_unlocked(path: Path) -> bool:
    """Return whether no process has locked a file. Return False where the file system has no locks.

    Args:
        path: The file.

    Raises:
        OSError: The file cannot be opened.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True

"""A lock that keeps other processes of this machine from training the same run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from seedmint.training.optimization import distributed
from seedmint.training.runs.errors import TrainingError


@contextmanager
def run_lock(directory: Path) -> Iterator[None]:
    """Hold the lock of a run. In distributed training the main process holds the lock for all processes.

    Args:
        directory: The run's directory.

    Raises:
        TrainingError: Another process holds the lock.
    """
    if not distributed.is_main_process():
        yield
        return
    try:
        with FileLock(directory / ".lock", timeout=0):
            yield
    except Timeout:
        raise TrainingError(f"another process trains {directory}", reason="locked") from None

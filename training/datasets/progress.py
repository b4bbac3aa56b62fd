"""Progress of long tasks, as data. The command line shows it."""

from collections.abc import Callable

OnProgress = Callable[[str, int, int], None]
"""Called with the name of the task, the number of finished parts, and the number of all parts."""


def ignore_progress(task: str, done: int, total: int) -> None:
    """Do nothing.

    Args:
        task: Name of the task.
        done: Number of finished parts.
        total: Number of all parts.
    """

"""Shows long tasks on standard error: the tasks of an evaluation, and the packing of images."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class TaskProgress:
    """Shows a spinner for the current task on a terminal, and prints the duration of each finished task."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status = self._console.status("")
        self._task, self._start_time = "", 0.0

    def __enter__(self) -> "TaskProgress":
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        if error_type is None:
            self._finish_task()
        self._status.stop()

    def start_task(self, task: str) -> None:
        """Finish the current task and start the next one.

        Args:
            task: Name of the next task.
        """
        self._finish_task()
        self._task, self._start_time = task, time.monotonic()
        self._status.update(task)
        if self._console.is_terminal:
            self._status.start()

    def show_part(self, task: str, done: int, total: int) -> None:
        """Show the progress of a long task inside the current task.

        Args:
            task: Name of the long task.
            done: Number of finished parts.
            total: Number of all parts.
        """
        self._status.update(f"{task}: {done:,} of {total:,}" if done < total else self._task)
        if self._console.is_terminal:
            self._status.start()

    def _finish_task(self) -> None:
        if self._task:
            self._console.print(f"{self._task}: {time.monotonic() - self._start_time:.1f} s", highlight=False)


class PartProgress:
    """Shows a bar for each task with a known number of parts, on a terminal only. `show` is a callback of type `OnProgress`."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "PartProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, task: str, done: int, total: int) -> None:
        """Show the progress of a task.

        Args:
            task: Name of the task.
            done: Number of finished parts.
            total: Number of all parts.
        """
        if task not in self._tasks:
            self._tasks[task] = self._bar.add_task(task, total=total)
        self._bar.update(self._tasks[task], completed=done, total=total)

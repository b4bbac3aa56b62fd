"""Shows the progress of a job on standard error: a bar in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from seedmint.service.batch.progress import BatchProgress, OnProgress

LINE_SECONDS = 10.0  # between two plain lines


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f}/s")


@contextmanager
def show_progress(noun: str, images: int, shards: int, images_done: int = 0, shards_done: int = 0) -> Iterator[OnProgress]:
    """Show progress while the block runs.

    Args:
        noun: "images" or "samples".
        images: Images or samples of the job.
        shards: Shards of the job.
        images_done: Images that were complete before.
        shards_done: Shards that were complete before.

    Yields:
        The function that receives the events.
    """
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _Lines(noun, images, shards, images_done, shards_done).on_progress
        return
    columns = (
        TextColumn(f"{{task.completed:,.0f}} of {images:,} {noun}"),
        BarColumn(),
        TaskProgressColumn(),
        _RateColumn(),
        TextColumn("{task.fields[shards]} of " + f"{shards:,} shards"),
        TimeRemainingColumn(),
    )
    done = shards_done
    with Progress(*columns, console=console, transient=True, speed_estimate_period=60) as bar:
        task = bar.add_task("", total=images, completed=images_done, shards=done)

        def on_progress(event: BatchProgress) -> None:
            nonlocal done
            done += event.shards
            bar.update(task, advance=event.images, shards=f"{done:,}")

        yield on_progress


class _Lines:
    """Prints a line from time to time, for logs."""

    def __init__(self, noun: str, images: int, shards: int, images_done: int, shards_done: int) -> None:
        self._noun = noun
        self._images, self._shards = images, shards
        self._images_done, self._shards_done = images_done, shards_done
        self._images_before = images_done
        self._start = self._last_line = time.monotonic()

    def on_progress(self, event: BatchProgress) -> None:
        self._images_done += event.images
        self._shards_done += event.shards
        now = time.monotonic()
        if now - self._last_line < LINE_SECONDS:
            return
        self._last_line = now
        rate = max(1e-9, (self._images_done - self._images_before) / (now - self._start))
        seconds_left = round((self._images - self._images_done) / rate)
        print(
            f"{self._images_done:,} of {self._images:,} {self._noun}, {self._shards_done:,} of {self._shards:,} shards, "
            f"{rate:,.0f}/s, {duration(seconds_left)} left",
            file=sys.stderr,
            flush=True,
        )


def duration(seconds: float) -> str:
    """Format a duration as 1:02:03 or 2:03.

    Args:
        seconds: The duration.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

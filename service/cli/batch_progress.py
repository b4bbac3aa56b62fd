"""How far a job is: a bar in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_SECONDS = 10.0  # between two lines where there is no terminal


class Shown(Protocol):
    """Told of images, and of shards that are finished."""

    def __call__(self, images: int, shards: int = 0) -> None: ...


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f}/s")


@contextmanager
def shown(noun: str, images: int, shards: int, images_done: int = 0, shards_done: int = 0) -> Iterator[Shown]:
    """Show progress on standard error while the block runs.

    Args:
        noun: "images" or "samples".
        images, shards: how many there are in all.
        images_done, shards_done: how many of them there were before.
    """
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _Lines(noun, images, shards, images_done, shards_done)
        return
    columns = (
        TextColumn(f"{{task.completed:,.0f}} of {images:,} {noun}"),
        BarColumn(),
        TaskProgressColumn(),
        _Rate(),
        TextColumn("{task.fields[shards]} of " + f"{shards:,} shards"),
        TimeRemainingColumn(),
    )
    done = shards_done
    with Progress(*columns, console=console, transient=True, speed_estimate_period=60) as bar:
        task = bar.add_task("", total=images, completed=images_done, shards=done)

        def show(images: int, shards: int = 0) -> None:
            nonlocal done
            done += shards
            bar.update(task, advance=images, shards=f"{done:,}")

        yield show


class _Lines:
    """A line now and then, for logs."""

    def __init__(self, noun: str, images: int, shards: int, images_done: int, shards_done: int) -> None:
        self._noun = noun
        self._images, self._shards = images, shards
        self._images_done, self._shards_done = images_done, shards_done
        self._before = images_done
        self._began = self._told = time.monotonic()

    def __call__(self, images: int, shards: int = 0) -> None:
        self._images_done += images
        self._shards_done += shards
        now = time.monotonic()
        if now - self._told < LINE_SECONDS:
            return
        self._told = now
        rate = max(1e-9, (self._images_done - self._before) / (now - self._began))
        left = round((self._images - self._images_done) / rate)
        print(
            f"{self._images_done:,} of {self._images:,} {self._noun}, {self._shards_done:,} of {self._shards:,} shards, "
            f"{rate:,.0f}/s, {duration(left)} left",
            file=sys.stderr,
            flush=True,
        )


def duration(seconds: float) -> str:
    """Seconds as 1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

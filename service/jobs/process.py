"""A job's own process: `python -m seedmint.service.jobs.process URL GENERATOR WORKERS PROGRESS`, started by the service.

It yields the processors to who serves, makes what is missing, and ends when its standard input does: when it is told to stop,
and when the service has died. When it is done it prints how many bytes its shards have, and else, in a line, why it failed.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seedmint.models.errors import UserError
from seedmint.service.batch.engines.base import Step
from seedmint.service.batch.engines.process_pool import run
from seedmint.service.batch.execute import work
from seedmint.service.batch.formats import libraries
from seedmint.service.batch.job import plan_of
from seedmint.service.batch.plan import Plan, PlanError, difference
from seedmint.service.batch.storage.base import BusyError, Output, OutputError
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.jobs.errors import without_place
from seedmint.service.jobs.progress import Progress, write_progress
from seedmint.service.telemetry.logs import told

BUSY = 75  # the status where another process makes the same job; EX_TEMPFAIL
_NICE = 19
_TELL_SECONDS = 0.5


class _News:
    """Counts what was made, and tells it now and then."""

    def __init__(self, path: Path, images: int) -> None:
        """`images`: those there are already."""
        self._path = path
        self._images = images
        self._first: tuple[float, int] | None = None  # when it was told of the first images, and how many there were then
        self._told = time.monotonic()

    def __call__(self, step: Step) -> None:
        self._images += step.images
        self._first = self._first or (time.monotonic(), self._images)
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self.tell()

    def tell(self) -> None:
        self._told = time.monotonic()
        began, images = self._first or (self._told, 0)
        rate = (self._images - images) / (self._told - began) if self._told > began and self._images > images else None
        write_progress(self._path, Progress(images=self._images, rate=rate))


def make(output: Output, plan: Plan, path: Path, workers: int, progress: Path) -> int:
    """Make what is missing of a job, and finish it.

    Returns:
        the exit status.

    Raises:
        UserError, OSError: the first error that was met.
    """
    here = libraries(plan.format, plan.card)
    if here != plan.libraries:
        raise PlanError(f"it was begun with {difference(plan.libraries, here)}: submit it again, as a new job")

    def engine(left: Sequence[int], news: Callable[[Step], None]) -> None:
        run(path, output.url, plan, left, min(workers, len(left)), news)

    @contextmanager
    def told_of(images: int, shards: int, images_done: int, shards_done: int) -> Iterator[_News]:
        news = _News(progress, images_done)
        yield news
        news.tell()

    try:
        totals = work(output, plan, path, engine, told_of).totals
    except BusyError:
        return BUSY
    if totals is None:
        raise OutputError("files have vanished while the job ran: submit it again")
    print(totals.bytes, flush=True)
    return 0


def _end_with_input() -> None:
    while os.read(0, 1):  # sys.stdin would hold a lock when the process ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(url: str, generator: str, workers: str, progress: str) -> int:
    os.nice(_NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the service decides
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    threading.Thread(target=_end_with_input, daemon=True).start()
    path = Path(generator)
    output = open_output(url)
    try:
        plan = plan_of(output)
        if plan is None:
            raise OutputError("its plan has vanished")
        return make(output, plan, path, int(workers), Path(progress))
    except (UserError, OSError) as error:
        said = without_place(error, output.url, "its folder")
        print(said.replace(generator, f"generator {path.stem!r}"), flush=True)
    except Exception as error:
        print(told(error), flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The process of one job: `python -m seedmint.service.jobs.process URL WORKERS PROGRESS GENERATOR...`. The service starts it.

The process runs at low priority. It ends when its standard input closes: when the service stops the job, or when the service
dies. On success it prints the size of the shards in bytes. On an error it prints the error as one line.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seedmint.models.errors import UserError
from seedmint.service.batch.engines.process_pool import run
from seedmint.service.batch.execute import execute
from seedmint.service.batch.job import load_plan, open_plan_generator
from seedmint.service.batch.plan import Plan, PlanError
from seedmint.service.batch.plan_comparison import differences_here
from seedmint.service.batch.progress import BatchProgress, OnProgress
from seedmint.service.batch.storage.base import BusyError, Output, OutputError
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.jobs.errors import public_text
from seedmint.service.jobs.progress import JobProgress, write_progress
from seedmint.service.runtime.generator import Generator
from seedmint.service.telemetry.logs import format_error

BUSY = 75  # exit status if another process runs the same job (EX_TEMPFAIL)
_NICENESS = 19
_WRITE_SECONDS = 0.5  # between two writes of the progress file


class _ProgressWriter:
    """Counts images and writes the progress file from time to time."""

    def __init__(self, path: Path, images: int) -> None:
        """
        Args:
            path: The progress file.
            images: Number of images that existed before.
        """
        self._path = path
        self._images = images
        self._first: tuple[float, int] | None = None  # time of the first event, and the images at that time
        self._last_write = time.monotonic()

    def on_progress(self, event: BatchProgress) -> None:
        self._images += event.images
        self._first = self._first or (time.monotonic(), self._images)
        if time.monotonic() - self._last_write >= _WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        self._last_write = time.monotonic()
        start, images = self._first or (self._last_write, 0)
        is_rate_known = self._last_write > start and self._images > images
        rate = (self._images - images) / (self._last_write - start) if is_rate_known else None
        write_progress(self._path, JobProgress(images=self._images, rate=rate))


def run_job(output: Output, plan: Plan, paths: Sequence[Path], workers: int, progress: Path) -> int:
    """Make the missing shards of a job and finish it.

    Args:
        output: The output of the job.
        plan: Its plan.
        paths: The generator files, in the order of the plan.
        workers: Number of worker processes.
        progress: The progress file.

    Returns:
        The exit status.

    Raises:
        UserError: The first error of the job.
        OSError: The same.
    """
    generators = [_open_generator(path, plan, index) for index, path in enumerate(paths)]
    for text in differences_here(plan, generators):
        raise PlanError(f"the job was started with {text}: submit it again as a new job")

    def engine(shards: Sequence[int], on_progress: OnProgress) -> None:
        run(paths, output.url, plan, shards, min(workers, len(shards)), on_progress)

    @contextmanager
    def display(images: int, shards: int, images_done: int, shards_done: int) -> Iterator[OnProgress]:
        writer = _ProgressWriter(progress, images_done)
        yield writer.on_progress
        writer.write()

    try:
        totals = execute(output, plan, paths, engine, display).totals
    except BusyError:
        return BUSY
    if totals is None:
        raise OutputError("files were removed while the job ran: submit it again")
    print(totals.bytes, flush=True)
    return 0


def _open_generator(path: Path, plan: Plan, index: int) -> Generator:
    """Open a generator of the job.

    Raises:
        PlanError: The service no longer has this version of the generator.
    """
    try:
        return open_plan_generator(path, plan, index)
    except (FileNotFoundError, PlanError):
        raise PlanError(
            f"generator {plan.generators[index].reference} is no longer served: restore its file, or submit a job with another "
            f"generator",
            field="model",
            reason="unknown_version",
        ) from None


def _end_with_input() -> None:
    while os.read(0, 1):  # sys.stdin would hold a lock when the process ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(url: str, workers: str, progress: str, *generators: str) -> int:
    """Run the process.

    Args:
        url: The output of the job.
        workers: Number of worker processes.
        progress: Path of the progress file.
        generators: Paths of the generator files, in the order of the plan.

    Returns:
        The exit status.
    """
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the service decides
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    threading.Thread(target=_end_with_input, daemon=True).start()
    paths = [Path(generator) for generator in generators]
    output = open_output(url)
    try:
        plan = load_plan(output)
        if plan is None:
            raise OutputError("the plan was removed")
        return run_job(output, plan, paths, int(workers), Path(progress))
    except (UserError, OSError) as error:
        text = public_text(error, output.url, "the job's folder")
        for path in paths:
            text = text.replace(str(path), f"generator {path.stem!r}")
        print(text, flush=True)
    except Exception as error:
        print(format_error(error), flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

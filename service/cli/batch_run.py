"""One run of a job on this machine: from its plan to its manifest, with progress, and stopped in order by signals."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click

from seedmint.models.errors import UserError
from seedmint.service.batch.completeness import done
from seedmint.service.batch.engines.base import Step
from seedmint.service.batch.engines.process_pool import processors, run, spare_threads
from seedmint.service.batch.execute import work
from seedmint.service.batch.plan import Plan, PlanError
from seedmint.service.batch.storage.base import Output
from seedmint.service.cli.batch_progress import duration, shown

Engine = Literal["local", "ray"]


def make_job(output: Output, plan: Plan, path: Path, part: int, parts: int, engine: Engine, workers: int | None) -> None:
    """Make what is missing of a job, or of a part of it, and finish it if all is there.

    Args:
        path: the generator file.
        part, parts: only shards whose number modulo `parts` is `part`.
        engine: what makes shards: processes of this machine, or tasks of a Ray cluster.
        workers: how many at once; None takes one for each processor.

    Raises:
        UserError, OSError: the first error that was met. What is done stays, and the same call goes on with it.
    """
    noun = nouns(plan)

    @contextmanager
    def bar(images: int, shards: int, images_done: int, shards_done: int) -> Iterator[Callable[[Step], None]]:
        with shown(noun, images, shards, images_done, shards_done) as show:
            yield lambda step: show(step.images, step.shards)

    def make(left: Sequence[int], news: Callable[[Step], None]) -> None:
        if engine == "ray":
            _ray_run()(path, output.url, plan, left, workers, news)
        else:
            processes = min(workers or processors(), len(left))
            run(path, output.url, plan, left, processes, news, spare_threads(processes))

    did = work(output, plan, path, make, bar, part, parts)
    rate = f"{did.made:,} made in {duration(did.seconds)}: {did.made / did.seconds:,.0f}/s" if did.made else "all there already"
    if did.totals:
        about = f"{plan.count:,} {noun} of {plan.card.name}@{plan.model[:12]}"
        click.echo(f"{about} in {output.url}, {shards_text(plan.shards)}, {rate}")
    elif parts > 1:
        click.echo(f"part {part} of {parts} is done, {rate}; the last part to end writes the manifest of {output.url}")
    else:
        raise UserError(f"--out {output.url}: files have vanished while the job ran: run the same command again")


def _ray_run() -> Callable[[Path, str, Plan, Iterable[int], int | None, Callable[[Step], None]], None]:
    try:
        from seedmint.service.batch.engines.ray_cluster import run
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise PlanError("--engine ray needs Ray, which is not installed: pip install -e '.[ray]'") from None
    return run


@contextmanager
def ended_by_signals(output: Output, plan: Plan) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the job in order, and say how to go on. A second one ends it at once. Exit status 130 or 143."""
    stopping = False

    def leave(number: int, frame: object) -> None:
        nonlocal stopping
        if stopping:
            for worker in multiprocessing.active_children():
                worker.kill()
            shown_cursor = b"\x1b[?25h" if os.isatty(2) else b""  # the bar has hidden it
            os.write(2, shown_cursor + b"\nStopped at once. The same command goes on.\n")
            os._exit(128 + number)
        stopping = True
        raise _Stopped(number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Stopped as stopped:
        shards = int(done(output, plan).sum())
        click.echo(f"\nStopped: {shards:,} of {shards_text(plan.shards)} are done. The same command goes on.", err=True)
        sys.exit(128 + stopped.number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stopped(BaseException):
    def __init__(self, number: int) -> None:
        self.number = number


def nouns(plan: Plan) -> str:
    """What the job makes: "images" or "samples"."""
    return f"{plan.card.output.kind}s"


def shards_text(number: int) -> str:
    """A number of shards in words."""
    return f"{number:,} shard{'s' * (number != 1)}"

"""One run of a job on this machine: from its plan to its manifest, with progress, and stopped in order by signals."""

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import click

from models.errors import UserError
from service.batch.estimate import bytes_of, check_room
from service.batch.job import begin, finish, missing, open_planned
from service.batch.output import Output, OutputError
from service.batch.plan import Plan
from service.batch.pool import Step, processors, run, spare_threads
from service.batch.progress import duration, shown
from service.batch.records import done, images_of

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
    left_images = plan.count - images_of(plan, done(output, plan))
    check_room(output, bytes_of(open_planned(path, plan), plan, left_images // parts))
    begin(output, plan)
    with output.lock(shared=parts > 1):
        if parts == 1:
            output.clean()
        marked = done(output, plan)
        left = missing(output, plan, part, parts).tolist()
        began = time.monotonic()
        if left:
            with shown(nouns(plan), plan.count, plan.shards, images_of(plan, marked), int(marked.sum())) as show:

                def news(step: Step) -> None:
                    show(step.images, step.shards)

                if engine == "ray":
                    _ray_run()(path, output.url, plan, left, workers, news)
                else:
                    workers = min(workers or processors(), len(left))
                    run(path, output.url, plan, left, workers, news, spare_threads(workers))
        seconds = time.monotonic() - began
        complete = finish(output, plan)
    if complete:
        with suppress(OutputError), output.lock(shared=False):  # others may still work there: the last of them does this
            output.clean()
    made = sum(plan.size(index) for index in left)
    rate = f"{made:,} made in {duration(seconds)}: {made / seconds:,.0f}/s" if made else "all there already"
    if complete:
        about = f"{plan.count:,} {nouns(plan)} of {plan.card.name}@{plan.model[:12]}"
        click.echo(f"{about} in {output.url}, {shards_text(plan.shards)}, {rate}")
    elif parts > 1:
        click.echo(f"part {part} of {parts} is done, {rate}; the last part to end writes the manifest of {output.url}")
    else:
        raise UserError(f"--out {output.url}: records have vanished while the job ran: run the same command again")


def _ray_run() -> Callable[[Path, str, Plan, Iterable[int], int | None, Callable[[Step], None]], None]:
    try:
        from service.batch.on_ray import run
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UserError("--engine ray needs Ray, which is not installed: pip install -e '.[ray]'") from None
    return run


@contextmanager
def ended_by_signals(output: Output, plan: Plan) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the job in order, and say how to go on. Exit status 130 or 143."""

    def leave(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
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

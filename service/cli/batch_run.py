"""Runs a job on this machine for the command line: engine, progress display and signals."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import click

from seedmint.models.errors import UserError
from seedmint.service.batch.completeness import complete_shards
from seedmint.service.batch.engines.choice import EngineName, choose_engine
from seedmint.service.batch.execute import execute
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.plan_comparison import references
from seedmint.service.batch.progress import OnProgress
from seedmint.service.batch.repair import Repairs, faulty_shards, repair
from seedmint.service.batch.storage.base import Output
from seedmint.service.batch.verify import Fault
from seedmint.service.cli.batch_progress import duration, show_progress
from seedmint.service.runtime.generator import Generator

_SHOW_CURSOR = b"\x1b[?25h"


def run_job(
    output: Output, plan: Plan, paths: Sequence[Path], part: int, parts: int, engine: EngineName, workers: int | None
) -> None:
    """Make the missing shards of a job, or of one part of it. Finish the job if every shard is complete.

    Args:
        output: The output of the job.
        plan: Its plan.
        paths: The generator files, in the order of the plan.
        part: Make only shards whose index modulo `parts` is `part`.
        parts: Number of parts.
        engine: "local": processes of this machine. "ray": tasks of a Ray cluster.
        workers: Number of shards at the same time; None for one shard on each processor.

    Raises:
        UserError: The first error of the job. Finished shards stay; the same call resumes the job.
        OSError: The same.
    """
    noun = nouns(plan)

    def display(images: int, shards: int, images_done: int, shards_done: int) -> AbstractContextManager[OnProgress]:
        return show_progress(noun, images, shards, images_done, shards_done)

    make_shards = choose_engine(engine, paths, output.url, plan, workers)
    result = execute(output, plan, paths, make_shards, display, part, parts)
    summary = "all were complete"
    if result.count:
        summary = f"{result.count:,} generated in {duration(result.seconds)}: {result.count / result.seconds:,.0f}/s"
    if result.totals:
        tried = "" if plan.filter is None else f" (of {plan.count:,} that were tried)"
        job = f"{result.totals.count:,} {noun}{tried} of {references(plan)}"
        click.echo(f"{job} in {output.url}, {shards_text(plan.num_shards)}, {summary}")
    elif parts > 1:
        click.echo(f"part {part} of {parts} is done, {summary}; the last part writes the manifest of {output.url}")
    else:
        raise UserError(
            f"files were removed from {output.url} while the job ran: run the same command again",
            field="out",
            reason="output_removed",
        )


def repair_job(
    output: Output,
    plan: Plan,
    paths: Sequence[Path],
    generators: Sequence[Generator],
    faults: Sequence[Fault],
    workers: int,
) -> Repairs:
    """Repair the faults of a job with worker processes of this machine, and show the progress.

    Args:
        output: The output of the job.
        plan: Its plan.
        paths: The generator files, in the order of the plan.
        generators: The generators of the plan, in order.
        faults: The faults of the job.
        workers: Number of worker processes.

    Raises:
        UserError: A fault cannot be repaired here.
        OSError: The output is not writable.
    """
    make_shards = choose_engine("local", paths, output.url, plan, workers)
    shards = faulty_shards(faults)
    with show_progress(nouns(plan), sum(map(plan.size, shards)), len(shards)) as on_progress:
        return repair(output, plan, generators, faults, make_shards, on_progress)


@contextmanager
def stop_on_signals(output: Output, plan: Plan) -> Iterator[None]:
    """Stop the job on Ctrl-C or SIGTERM, and exit with status 130 or 143. A second signal ends the process at once.

    Args:
        output: The output of the job.
        plan: Its plan.
    """
    is_stopping = False

    def handle(number: int, frame: object) -> None:
        nonlocal is_stopping
        if is_stopping:
            for worker in multiprocessing.active_children():
                worker.kill()
            cursor = _SHOW_CURSOR if os.isatty(2) else b""  # the progress bar hides the cursor
            os.write(2, cursor + b"\nStopped at once. Run the same command to resume.\n")
            os._exit(128 + number)
        is_stopping = True
        raise _StoppedError(number)

    handlers = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _StoppedError as stopped:
        complete = int(complete_shards(output, plan).sum())
        total = shards_text(plan.num_shards)
        click.echo(f"\nStopped: {complete:,} of {total} are complete. Run the same command to resume.", err=True)
        sys.exit(128 + stopped.number)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class _StoppedError(BaseException):
    def __init__(self, number: int) -> None:
        self.number = number


def nouns(plan: Plan) -> str:
    """Return "images" or "samples".

    Args:
        plan: The plan of the job.
    """
    return f"{plan.card.output.kind}s"


def shards_text(count: int) -> str:
    """Return a number of shards as text: "1 shard", "2,000 shards".

    Args:
        count: Number of shards.
    """
    return f"{count:,} shard{'s' * (count != 1)}"

"""Runs a job on this machine: begin or resume it, make the missing shards with an engine, finish it."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from seedmint.service.batch.completeness import complete_shards
from seedmint.service.batch.estimate import check_free_space, estimate_size
from seedmint.service.batch.job import begin, finish, load_plan, open_plan_generators
from seedmint.service.batch.manifest import Totals
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.progress import OnProgress
from seedmint.service.batch.records import count_in_shards
from seedmint.service.batch.storage.base import BusyError, Output

Engine = Callable[[Sequence[int], OnProgress], None]  # makes the shards of these indices


class ProgressDisplay(Protocol):
    """Shows the progress of a job while an engine runs."""

    def __call__(self, images: int, shards: int, images_done: int, shards_done: int) -> AbstractContextManager[OnProgress]:
        """Open the display.

        Args:
            images: Images or samples of the job, or of this part of it.
            shards: Shards of the job, or of this part of it.
            images_done: Images that were complete before.
            shards_done: Shards that were complete before.

        Returns:
            A context that lasts while the engine runs. Its value is the function that receives the events.
        """
        ...


@dataclass(frozen=True)
class JobResult:
    """The result of one run of a job.

    Attributes:
        count: Images or samples that this run made.
        seconds: Time that the engine took.
        totals: Totals of the whole job, or None if it is not finished.
    """

    count: int
    seconds: float
    totals: Totals | None


def execute(
    output: Output,
    plan: Plan,
    paths: Sequence[Path],
    engine: Engine,
    display: ProgressDisplay,
    part: int = 0,
    parts: int = 1,
) -> JobResult:
    """Make the missing shards of a job, or of one part of it. Finish the job if every shard is complete.

    Args:
        output: The output of the job.
        plan: Its plan.
        paths: The generator files, in the order of the plan.
        engine: Makes the shards.
        display: Shows the progress.
        part: Make only shards whose index modulo `parts` is `part`.
        parts: Number of parts.

    Returns:
        The result of this run.

    Raises:
        UserError: The first error of the job. Finished shards stay; the same call resumes the job.
        OSError: The same.
    """
    in_part = np.arange(plan.num_shards) % parts == part
    is_new = load_plan(output) is None
    if is_new:  # before `begin`, so that a job that does not fit leaves no files
        needed = estimate_size(open_plan_generators(paths, plan), plan, count_in_shards(plan, in_part))
        check_free_space(output, needed.disk_bytes)
    begin(output, plan)
    with output.lock(shared=parts > 1):
        if parts == 1:
            output.clean()
        complete = complete_shards(output, plan)
        missing = np.flatnonzero(in_part & ~complete).tolist()
        count = sum(map(plan.size, missing))
        if missing and not is_new:  # after `clean`, which frees the space of leftovers
            check_free_space(output, estimate_size(open_plan_generators(paths, plan), plan, count).disk_bytes)
        start = time.monotonic()
        if missing:
            done = in_part & complete
            counts = (count_in_shards(plan, in_part), int(in_part.sum()), count_in_shards(plan, done), int(done.sum()))
            with display(*counts) as on_progress:
                engine(missing, on_progress)
        seconds = time.monotonic() - start
        totals = finish(output, plan)
        if parts == 1:
            output.clean()  # files of workers that were killed
    if totals and parts > 1:
        with suppress(BusyError), output.lock(shared=False):  # other parts may still work; the last one cleans
            output.clean()
    return JobResult(count, seconds, totals)

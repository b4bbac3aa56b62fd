"""One run of a job, whoever asked for it: begun, leftovers cleared, what is missing made by an engine, finished."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from seedmint.service.batch.completeness import done
from seedmint.service.batch.engines.base import Step
from seedmint.service.batch.estimate import bytes_of, check_room
from seedmint.service.batch.job import begin, finish, open_planned, plan_of
from seedmint.service.batch.manifest import Totals
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.records import images_of
from seedmint.service.batch.storage.base import BusyError, Output

News = Callable[[Step], None]


class Shown(Protocol):
    """Shows what there is to make, and how much of it there was before, while the engine tells its news."""

    def __call__(self, images: int, shards: int, images_done: int, shards_done: int) -> AbstractContextManager[News]: ...


@dataclass(frozen=True)
class Work:
    """What a run came to.

    Attributes:
        made: images, or samples.
        totals: of the whole job, if it is done.
    """

    made: int
    seconds: float
    totals: Totals | None


def work(
    output: Output,
    plan: Plan,
    path: Path,
    engine: Callable[[Sequence[int], News], None],
    shown: Shown,
    part: int = 0,
    parts: int = 1,
) -> Work:
    """Make what is missing of a job, or of a part of it, and finish it if all is there.

    Args:
        path: the generator file.
        engine: makes the shards that it is given.
        part, parts: only shards whose number modulo `parts` is `part`.

    Raises:
        UserError, OSError: the first error that was met. What is done stays, and the same call goes on with it.
    """
    mine = np.arange(plan.shards) % parts == part
    new = plan_of(output) is None
    if new:  # a job for which there is no room is not begun
        check_room(output, bytes_of(open_planned(path, plan), plan, images_of(plan, mine)))
    begin(output, plan)
    with output.lock(shared=parts > 1):
        if parts == 1:
            output.clean()
        there = done(output, plan)
        left = np.flatnonzero(mine & ~there).tolist()
        made = sum(map(plan.size, left))
        if left and not new:  # what others have left behind takes no room any more
            check_room(output, bytes_of(open_planned(path, plan), plan, made))
        began = time.monotonic()
        if left:
            before = mine & there
            with shown(images_of(plan, mine), int(mine.sum()), images_of(plan, before), int(before.sum())) as news:
                engine(left, news)
        seconds = time.monotonic() - began
        totals = finish(output, plan)
        if parts == 1:
            output.clean()  # of workers that were killed
    if totals and parts > 1:
        with suppress(BusyError), output.lock(shared=False):  # others may still work there: the last of them does this
            output.clean()
    return Work(made, seconds, totals)

"""A job in its output: begun or gone on with, its generator opened, what is left to do, finished when all of it is there."""

from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedmint.models.runtime.generator_file import digest_of, read_content
from seedmint.models.runtime.provider import choose_provider
from seedmint.service.batch.completeness import done
from seedmint.service.batch.manifest import Totals, write_data_card, write_manifest
from seedmint.service.batch.plan import Plan, PlanError, check_same, read_plan
from seedmint.service.batch.records import read_records
from seedmint.service.batch.storage.base import MARK, Output, OutputError, PlaceError
from seedmint.service.runtime.generator import Generator

_THREADS = 1  # of a run of the generator: workers share the processors


def plan_of(output: Output) -> Plan | None:
    """The plan of the job in an output, or None where there is none.

    Raises:
        PlanError: it cannot be read.
    """
    try:
        content = output.read(MARK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return read_plan(content, f"{output.url}/{MARK}")


def begin(output: Output, plan: Plan) -> None:
    """Write the plan, or find the same one there. Several processes may do so at once.

    Raises:
        PlanError: the output holds another job.
        PlaceError: it holds something else.
        OSError: it cannot be written.
    """
    there = plan_of(output)
    if there is None:
        output.prepare()
        found = set(output.names(""))
        if found and MARK not in found:  # with it, another process has begun the job meanwhile
            raise PlaceError(f"--out {output.url} is not empty, and holds no job: give a new folder")
        with suppress(FileExistsError):  # by another process, just now
            output.create(MARK, plan.to_json())
        there = plan_of(output)
        if there is None:
            raise OutputError(f"--out {output.url}: {MARK} has vanished")
    check_same(there, plan, f"--out {output.url}")


def open_planned(path: Path, plan: Plan) -> Generator:
    """The generator of a plan.

    Raises:
        PlanError: the file is not that of the plan any more.
        UserError, OSError: as `open_generator`.
    """
    return open_content(read_planned(path, plan), plan)


def read_planned(path: Path, plan: Plan) -> bytes:
    """The generator file of a plan. Raises as `open_planned`."""
    content = read_content(path)
    if digest_of(content) != plan.model:
        raise PlanError(
            f"{path} has changed: its digest is {digest_of(content)[:12]}, and the job is of "
            f"{plan.card.name}@{plan.model[:12]}. Put that file back, or give another --out"
        )
    return content


def open_content(content: bytes, plan: Plan) -> Generator:
    """The generator in a plan's file, as the plan has it run."""
    return Generator(content, choose_provider(plan.provider), _THREADS, plan.batch)


def missing(output: Output, plan: Plan, part: int = 0, parts: int = 1) -> NDArray[np.int64]:
    """The shards that lack their record or data, ascending: int64[n]; of those only, whose number modulo `parts` is `part`."""
    numbers = np.flatnonzero(~done(output, plan))
    mine: NDArray[np.int64] = numbers[numbers % parts == part]
    return mine


def finish(output: Output, plan: Plan) -> Totals | None:
    """Write the manifest and the data card, if every shard is there. Whoever does so writes the same bytes.

    Returns:
        the sums over all shards, or None if the job is not done.

    Raises:
        RecordError: a record is damaged, or of another job.
    """
    if len(missing(output, plan)):
        return None
    totals = write_manifest(output, plan, read_records(output, plan))
    write_data_card(output, plan, totals)
    return totals

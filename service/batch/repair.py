"""Repairs a job: makes faulty shards again, removes files that belong to no shard, and writes the summaries again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seedmint.service.batch.execute import Engine
from seedmint.service.batch.job import finish
from seedmint.service.batch.plan import Plan, PlanError
from seedmint.service.batch.plan_comparison import differences_here
from seedmint.service.batch.progress import OnProgress
from seedmint.service.batch.storage.base import Output
from seedmint.service.batch.verify import Fault, shard_fault
from seedmint.service.runtime.generator import Generator


@dataclass(frozen=True)
class Repairs:
    """The changes of a repair.

    Attributes:
        shards: Indices of the shards that were made again.
        removed: Files that belonged to no shard.
        faults: Faults that the repaired shards still have.
    """

    shards: tuple[int, ...]
    removed: tuple[str, ...]
    faults: tuple[Fault, ...]


def faulty_shards(faults: Sequence[Fault]) -> list[int]:
    """Return the indices of the shards that have faults, in ascending order.

    Args:
        faults: The faults of a job.
    """
    return sorted({fault.shard for fault in faults if fault.shard is not None})


def repair(
    output: Output,
    plan: Plan,
    generators: Sequence[Generator],
    faults: Sequence[Fault],
    engine: Engine,
    on_progress: OnProgress,
) -> Repairs:
    """Repair the faults of a job.

    Args:
        output: The output of the job.
        plan: Its plan.
        generators: The generators of the plan, in order.
        faults: The faults, from `verify`.
        engine: Makes the shards.
        on_progress: Receives the progress of the engine.

    Raises:
        PlanError: This machine or its libraries would write other bytes than the plan.
        BusyError: Another job is writing to the output.
        UserError: The engine failed, or the output is not writable. The same call may repair the rest.
        OSError: The same.
    """
    for text in differences_here(plan, generators):
        raise PlanError(
            f"{output.url} was written with {text}, and new shards would have other bytes: "
            f"repair it with the versions of the job",
            reason="other_toolchain",
        )
    shards = faulty_shards(faults)
    orphans = tuple(fault.file for fault in faults if fault.reason == "orphan")
    with output.lock(shared=False):
        for name in orphans:
            output.remove(name)
        if shards:
            engine(shards, on_progress)
        finish(output, plan)
        output.clean()
    return Repairs(tuple(shards), orphans, tuple(_remaining(output, plan, generators, shards)))


def _remaining(output: Output, plan: Plan, generators: Sequence[Generator], shards: Sequence[int]) -> Iterator[Fault]:
    for index in shards:
        fault = shard_fault(output, plan, generators[plan.part_of(index).generator], index, every_value=False)
        if fault is not None:
            yield fault

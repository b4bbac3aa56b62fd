"""Chooses the engine of a job by name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from seedmint.models.installation import install_command
from seedmint.models.runtime.processors import num_processors
from seedmint.service.batch.engines.process_pool import run, spare_threads
from seedmint.service.batch.plan import Plan, PlanError
from seedmint.service.batch.progress import OnProgress

EngineName = Literal["local", "ray"]


def choose_engine(
    name: EngineName, paths: Sequence[Path], url: str, plan: Plan, workers: int | None
) -> Callable[[Sequence[int], OnProgress], None]:
    """Return a function that makes the shards with given indices.

    Args:
        name: "local": processes of this machine. "ray": tasks of a Ray cluster.
        paths: The generator files, in the order of the plan.
        url: The output.
        plan: The plan of the job.
        workers: Number of shards at the same time; None for one shard on each processor.

    Raises:
        PlanError: Ray is not installed.
    """
    if name == "ray":
        try:
            from seedmint.service.batch.engines import ray_cluster
        except ModuleNotFoundError as error:
            if error.name != "ray":
                raise
            raise PlanError(
                f"Ray is not installed: {install_command('ray')}", field="engine", reason="library_missing"
            ) from None
        return lambda shards, on_progress: ray_cluster.run(paths, url, plan, shards, workers, on_progress)

    def make_shards(shards: Sequence[int], on_progress: OnProgress) -> None:
        processes = min(workers or num_processors(), len(shards))
        run(paths, url, plan, shards, processes, on_progress, spare_threads(processes))

    return make_shards

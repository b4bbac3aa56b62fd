"""Assigns shards to workers and counts progress. Independent of processes."""

from collections import Counter
from collections.abc import Iterable

from seedmint.service.batch.engines.base import ATTEMPTS
from seedmint.service.batch.engines.messages import (
    FromWorker,
    ImagesWritten,
    MakeShard,
    NoMoreShards,
    ShardRecorded,
    ShardWritten,
    ToWorker,
    WorkerFailed,
)
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.progress import BatchProgress


class Scheduler:
    """State of all shards of one run.

    A worker has at most two shards: the latest shard, which it writes, and the shard before, which it syncs or uploads.
    """

    def __init__(self, plan: Plan, shards: Iterable[int]) -> None:
        """
        Args:
            plan: The plan of the job.
            shards: Indices of the shards to make, in any order.
        """
        self._plan = plan
        self._waiting = iter(shards)
        self._retries: list[int] = []
        self._deaths: Counter[int] = Counter()
        self._assigned: dict[int, dict[int, int]] = {}  # worker -> shard -> images written, the latest shard last

    @property
    def is_finished(self) -> bool:
        """Whether no worker has a shard."""
        return not any(self._assigned.values())

    def is_busy(self, worker: int) -> bool:
        """Return whether a worker has a shard.

        Args:
            worker: Number of the worker.
        """
        return bool(self._assigned.get(worker))

    def latest_shard(self, worker: int) -> int:
        """Return the shard that a worker writes, or syncs if there is no other.

        Args:
            worker: Number of a busy worker.
        """
        return next(reversed(self._assigned[worker]))

    def assign(self, worker: int) -> ToWorker:
        """Give a worker its next shard, if there is one.

        Args:
            worker: Number of the worker.

        Returns:
            The message for the worker.
        """
        assigned = self._assigned.setdefault(worker, {})
        index = self._retries.pop() if self._retries else next(self._waiting, None)
        if index is None:
            return NoMoreShards()
        assigned[index] = 0
        return MakeShard(index)

    def receive(self, worker: int, message: FromWorker) -> BatchProgress:
        """Record a message of a worker. After `ShardWritten`, call `assign`.

        Args:
            worker: Number of the worker.
            message: The message.

        Returns:
            The progress since the last message.

        Raises:
            Exception: The error of a `WorkerFailed`.
        """
        assigned = self._assigned[worker]
        match message:
            case ImagesWritten(count):
                assigned[self.latest_shard(worker)] += count
                return BatchProgress(count)
            case ShardWritten():
                index = self.latest_shard(worker)
                rest = self._plan.size(index) - assigned[index]
                assigned[index] += rest
                return BatchProgress(rest)
            case ShardRecorded():
                del assigned[next(iter(assigned))]
                return BatchProgress(0, 1)
            case WorkerFailed(error):
                raise error

    def remove(self, worker: int) -> BatchProgress:
        """Record the death of a busy worker: its shards must be made again.

        Args:
            worker: Number of the worker.

        Returns:
            The progress that is lost.
        """
        self._deaths[self.latest_shard(worker)] += 1
        assigned = self._assigned.pop(worker)
        self._retries += assigned
        return BatchProgress(-sum(assigned.values()))

    def may_retry(self, index: int) -> bool:
        """Return whether a shard may be made again after the deaths of its workers.

        Args:
            index: Index of the shard.
        """
        return self._deaths[index] < ATTEMPTS

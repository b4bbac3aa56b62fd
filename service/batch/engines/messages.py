"""Messages between the process pool and its workers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MakeShard:
    """To a worker: make this shard next.

    Attributes:
        index: Index of the shard.
    """

    index: int


@dataclass(frozen=True, slots=True)
class NoMoreShards:
    """To a worker: finish the current shard, then exit."""


@dataclass(frozen=True, slots=True)
class ImagesWritten:
    """From a worker: images or samples of its latest shard were written.

    Attributes:
        count: Number since the last message.
    """

    count: int


@dataclass(frozen=True, slots=True)
class ShardWritten:
    """From a worker: all of its latest shard was written. The worker is ready for the next shard."""


@dataclass(frozen=True, slots=True)
class ShardRecorded:
    """From a worker: its earliest shard is complete and has a record."""


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """From a worker: it cannot go on.

    Attributes:
        error: The error; it can be pickled.
    """

    error: Exception


ToWorker = MakeShard | NoMoreShards
FromWorker = ImagesWritten | ShardWritten | ShardRecorded | WorkerFailed

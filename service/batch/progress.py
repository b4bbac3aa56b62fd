"""Progress of a job: one kind of event for all engines and all displays."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Progress since the last event.

    Attributes:
        images: Images or samples written. Negative when a worker dies and its part of a shard is lost.
        shards: Shards finished.
    """

    images: int
    shards: int = 0


OnProgress = Callable[[BatchProgress], None]


def ignore_progress(event: BatchProgress) -> None:
    """The `on_progress` of callers that show no progress.

    Args:
        event: Ignored.
    """

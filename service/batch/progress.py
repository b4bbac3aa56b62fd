"""Progress of a job: one kind of event for all engines and all displays."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """Progress since the last event.

    Attributes:
        images: Images or samples written. Negative when a worker dies and its part of a shard is lost.
        shards: Shards finished.
    """

    images: int
    shards: int = 0


OnProgress = Callable[[ProgressEvent], None]


def ignore_progress(event: ProgressEvent) -> None:
    """The `on_progress` of callers that show no progress.

    Args:
        event: Ignored.
    """

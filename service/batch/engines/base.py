"""What all engines share: progress, errors that can be sent, the number of attempts."""

import traceback
from dataclasses import dataclass

from seedmint.models.errors import UserError

ATTEMPTS = 5  # workers that one shard may end before the job gives up


class PoolError(UserError):
    """Workers end, again and again, without saying why."""


@dataclass(frozen=True)
class Step:
    """News of a job.

    Attributes:
        images: images made since the last news; negative when a worker ended, and its part of a shard is lost.
        shards: shards that were finished, 0 or 1.
    """

    images: int
    shards: int = 0


def sendable(error: Exception, url: str) -> Exception:
    """An error as the parent can have it: what libraries add to theirs may not go through a pipe."""
    match error:
        case UserError():
            return UserError(str(error))
        case OSError(errno=int()):
            return OSError(error.errno, error.strerror, error.filename or url)
        case OSError():
            return OSError(str(error))
        case _:
            return RuntimeError("".join(traceback.format_exception(error)))

"""Shared by all engines: the number of attempts, and errors."""

import traceback

from seedmint.models.errors import UserError

ATTEMPTS = 5  # workers that may die on one shard before the job fails


class WorkerDiedError(UserError):
    """Several workers died on the same shard.

    Attributes:
        shard: Index of the shard.
        exit_code: Exit status of the last worker, or minus the number of its signal; None if the engine does not know it.
    """

    reason = "worker_died"

    def __init__(self, message: str, shard: int, exit_code: int | None = None) -> None:
        """
        Args:
            message: One line.
            shard: Index of the shard.
            exit_code: Exit status of the last worker.
        """
        super().__init__(message)
        self.shard = shard
        self.exit_code = exit_code


def picklable_error(error: Exception, url: str) -> Exception:
    """Return an error that can be sent to another process. Exceptions of libraries may not be picklable.

    Args:
        error: The error.
        url: The output, for an `OSError` that names no file.
    """
    match error:
        case UserError():
            return UserError(str(error), field=error.field, reason=error.reason)
        case OSError(errno=int()):
            return OSError(error.errno, error.strerror, error.filename or url)
        case OSError():
            return OSError(str(error))
        case _:
            return RuntimeError("".join(traceback.format_exception(error)))

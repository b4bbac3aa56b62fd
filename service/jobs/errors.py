"""Errors of the jobs, without paths of the server: `api/problem_mapping` maps them to problem documents."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from seedmint.models.errors import UserError, one_line

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class JobsError(UserError):
    """A request for a job cannot be answered now. A later try may succeed."""


class QueueFullError(JobsError):
    """The queue has its largest number of jobs."""

    reason = "job_queue"


class JobActiveError(JobsError):
    """The job still runs, so its files cannot be removed."""

    reason = "job_active"


class StorageUnavailableError(JobsError):
    """The storage of the jobs cannot be read or written."""

    reason = "storage_unavailable"


class StorageTimeoutError(JobsError):
    """The storage of the jobs did not answer in time."""

    reason = "deadline"


class StorageFullError(JobsError):
    """The storage of the jobs has too little free space."""

    reason = "disk_full"


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn errors of the storage into `JobsError`. A file that does not exist stays a `FileNotFoundError`.

    Args:
        url: The root of the jobs, which the messages do not contain.

    Raises:
        JobsError: The block raised an error of the storage.
    """
    try:
        yield
    except (FileNotFoundError, JobsError):
        raise
    except (OSError, UserError) as error:
        text = public_text(error, url, "the jobs folder")
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise StorageFullError(text) from error
        raise StorageUnavailableError(f"the storage of the jobs is not available: {text}") from error


def public_text(error: Exception, url: str, name: str) -> str:
    """Return an error as one line, in which a name replaces the path or URL of a folder.

    Args:
        error: The error.
        url: The path or URL.
        name: The name of the folder for clients.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line((str(error) or type(error).__name__).replace(url, name))

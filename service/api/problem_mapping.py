"""Maps the exceptions of the core, of the batches and of the jobs to problem documents."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from seedmint.models.errors import UserError
from seedmint.service.batching.errors import (
    BatchingError,
    ClientGone,
    DeadlineExceeded,
    Draining,
    GeneratorFailed,
    ModelsLoading,
    Overloaded,
    UnknownModel,
    UnknownVersion,
)
from seedmint.service.jobs.errors import (
    JobActiveError,
    JobsError,
    QueueFullError,
    StorageFullError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from seedmint.service.problems import Problem
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

CORE_ERRORS = (Problem, BatchingError, UserError)

_STATUS: dict[type[BatchingError], int] = {
    UnknownModel: 404,
    UnknownVersion: 404,
    Overloaded: 429,
    GeneratorFailed: 500,
    Draining: 503,
    ModelsLoading: 503,
    DeadlineExceeded: 504,
}
# Status and seconds of Retry-After.
_STATUS_OF_JOBS: dict[type[JobsError], tuple[int, int | None]] = {
    JobActiveError: (409, 1),
    QueueFullError: (429, 60),
    StorageUnavailableError: (503, 5),
    StorageTimeoutError: (504, None),
    StorageFullError: (507, None),
}
_REJECTIONS = frozenset({413, 429, 503, 504})  # counted by seedmint_http_requests_rejected_total


def to_problem(error: Exception) -> Problem:
    """Return the problem document of an exception of the core.

    The problem document and the metric of rejected requests have the same reason.

    Args:
        error: One of `CORE_ERRORS`.

    Raises:
        ClientDisconnect: The client disconnected, so that no response is sent.
        Exception: `error` itself, if it is not one of `CORE_ERRORS`.
    """
    if isinstance(error, ClientGone):
        raise ClientDisconnect from None
    if isinstance(error, BatchingError):
        problem = _unavailable(error, _STATUS[type(error)], error.retry_after)
    elif isinstance(error, JobsError):
        problem = _unavailable(error, *_STATUS_OF_JOBS[type(error)])
    elif isinstance(error, UserError):
        problem = Problem.from_error(error)
    elif isinstance(error, Problem):
        problem = error
    else:
        raise error
    context = REQUEST_CONTEXT.get(None)
    if context is not None and problem.status in _REJECTIONS:
        context.rejected = problem.reason = context.rejected or problem.reason
    return problem


def _unavailable(error: BatchingError | JobsError, status: int, retry_after: int | None) -> Problem:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Problem(status, str(error), error.field, headers, error.reason)


async def handle_error(_: Request, error: Exception) -> Response:
    """Return the response for one of `CORE_ERRORS`. Starlette calls this exception handler.

    Args:
        _: The request.
        error: The exception.
    """
    return to_problem(error).response()

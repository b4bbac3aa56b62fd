"""Maps the exceptions of the core to problem documents. `api/jobs` maps the exceptions of job storage."""

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
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        problem = Problem(_STATUS[type(error)], str(error), error.field, headers, error.reason)
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


async def handle_error(_: Request, error: Exception) -> Response:
    """Return the response for one of `CORE_ERRORS`. Starlette calls this exception handler.

    Args:
        _: The request.
        error: The exception.
    """
    return to_problem(error).response()

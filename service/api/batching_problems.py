"""Maps the exceptions of the batching layer to problem documents."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

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

_STATUS: dict[type[BatchingError], int] = {
    UnknownModel: 404,
    UnknownVersion: 404,
    Overloaded: 429,
    GeneratorFailed: 500,
    Draining: 503,
    ModelsLoading: 503,
    DeadlineExceeded: 504,
}


def problem_of(error: BatchingError) -> Problem:
    """Return the problem document of an exception of the batching layer.

    Raises:
        ClientDisconnect: The client disconnected, so that no answer is sent.
    """
    if isinstance(error, ClientGone):
        raise ClientDisconnect from None
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return Problem(_STATUS[type(error)], str(error), error.field, headers)


async def answer_batching_error(_: Request, error: Exception) -> Response:
    """Starlette's exception handler for `BatchingError`."""
    assert isinstance(error, BatchingError)
    return problem_of(error).response()

"""Exceptions of the batching layer. They are independent of HTTP: `service/api` maps each of them to a problem document."""

# ruff: noqa: N818  # "Overloaded" and the like are clearer without the suffix "Error"

from typing import Literal

Limit = Literal["queue", "slots", "slots_of_client", "responses", "responses_of_client", "large_images"]


class BatchingError(Exception):
    """Base class: the batching layer cannot return a result.

    Attributes:
        reason: A stable code for programs and tests, in snake_case.
        field: The part of the request that is wrong; None if no part is wrong.
        retry_after: Whole seconds after which the same request can succeed; None if this is unknown.
    """

    reason = "batching"
    field: str | None = None

    def __init__(self, message: str = "", *, retry_after: int | None = None) -> None:
        """
        Args:
            message: One line for people.
            retry_after: Whole seconds after which the same request can succeed.
        """
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(BatchingError):
    """Too many images are waiting, or too many bulk requests are in flight.

    Attributes:
        limit: The limit that is reached.
    """

    reason = "overloaded"

    def __init__(self, message: str = "", limit: Limit = "queue", *, retry_after: int | None = None) -> None:
        """
        Args:
            message: One line for people.
            limit: The limit that is reached.
            retry_after: Whole seconds after which the same request can succeed.
        """
        super().__init__(message, retry_after=retry_after)
        self.limit = limit


class DeadlineExceeded(BatchingError):
    """The result was not ready within the deadline."""

    reason = "deadline"


class ClientGone(BatchingError):
    """The client disconnected before its result was ready."""

    reason = "client_gone"


class GeneratorFailed(BatchingError):
    """The generator failed on this input. The log contains the cause."""

    reason = "generator_failed"


class Draining(BatchingError):
    """The batcher is closed: the server is shutting down."""

    reason = "draining"


class ModelsLoading(BatchingError):
    """The first scan of the models directory has not finished."""

    reason = "not_ready"


class UnknownModel(BatchingError):
    """No generator of this name is served."""

    reason = "unknown_model"
    field = "model"


class UnknownVersion(BatchingError):
    """A generator of this name is served, but not this version."""

    reason = "unknown_version"
    field = "digest"

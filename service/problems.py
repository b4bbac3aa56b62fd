"""Problem documents (RFC 9457, `application/problem+json`): the error responses of the service."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from seedmint.models.errors import UserError
from seedmint.models.seeds import SeedCountError, SeedRangeError

MEDIA_TYPE = "application/problem+json"
DRAINING = "draining"  # reason code
UNEXPECTED = "unexpected error; see the log of the server"

# The reason code of a status, unless the error has a more precise one.
REASONS: dict[int, str] = {
    400: "malformed",
    401: "no_key",
    403: "wrong_signature",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "slow_body",
    409: "job_active",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "out_of_range",
    429: "overloaded",
    431: "large_head",
    500: "internal_error",
    503: "not_ready",
    504: "deadline",
    507: "disk_full",
}
_STATUS_OF_TYPE: dict[type[UserError], int] = {SeedCountError: 413, SeedRangeError: 422}
_STATUS_OF_REASON = {
    "out_of_range": 422,
    "not_conditional": 422,
    "wrong_length": 422,
    "duplicate_seed": 422,
    "format_mismatch": 422,
    "column_conflict": 422,
    "duplicate_generator": 422,
    "incompatible_generators": 422,
    "too_many_labels": 422,
    "malformed_filter": 422,
    "no_classifier": 422,
    "too_many_shards": 422,
    "unknown_format": 404,
    "unknown_version": 404,
    "wrong_output": 404,
    "too_large": 413,
}


class Problem(Exception):  # noqa: N818  # the term of RFC 9457
    """An error response.

    Attributes:
        status: HTTP status.
        detail: One line for people.
        field: The part of the request that is wrong; None if no single part is wrong.
        reason: A stable code for programs, in snake_case.
        headers: Response headers, besides Cache-Control and Content-Type.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str | None = None,
    ) -> None:
        """
        Args:
            status: HTTP status.
            detail: One line for people.
            field: The part of the request that is wrong.
            headers: Response headers.
            reason: A stable code for programs; None for the code of the status.
        """
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.field = field
        self.reason = reason or REASONS.get(status) or self.status.name.lower()
        self.headers = dict(headers or {})

    @classmethod
    def from_error(cls, error: UserError, field: str | None = None) -> "Problem":
        """Return the problem for an invalid value.

        Args:
            error: The error. Its type or its reason determines the status; without an entry the status is 400.
            field: The part of the request that is wrong; used if the error has no field.
        """
        status = _STATUS_OF_TYPE.get(type(error)) or _STATUS_OF_REASON.get(error.reason, 400)
        # 413 is a rejection: its reason is the label of the metric of rejected requests.
        reason = None if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or error.reason == UserError.reason else error.reason
        return cls(status, str(error), error.field or field, reason=reason)

    @classmethod
    def malformed(cls, errors: Sequence[Mapping[str, Any]]) -> "Problem":
        """Return the problem for an invalid body: 400, with the first invalid field.

        Args:
            errors: The errors of pydantic, at least one.
        """
        field = str(errors[0]["loc"][0])
        messages = dict.fromkeys(error["msg"] for error in errors if error["loc"][0] == field)
        return cls(400, "; or: ".join(list(messages)[:3]), field)

    def document(self) -> dict[str, str | int]:
        """Return the JSON document of the response."""
        document: dict[str, str | int] = {"type": "about:blank", "title": self.status.phrase, "status": self.status.value}
        document |= {"detail": self.detail, "reason": self.reason}
        if self.field is not None:
            document["field"] = self.field
        return document

    def response(self) -> Response:
        """Return the HTTP response."""
        headers = {"Cache-Control": "no-store"} | self.headers
        return Response(json.dumps(self.document()) + "\n", self.status.value, headers, MEDIA_TYPE)


def draining_problem() -> Problem:
    """Return the response to a request that the server does not finish because it is shutting down."""
    headers = {"Retry-After": "5", "Connection": "close"}
    return Problem(503, "the server is shutting down", headers=headers, reason=DRAINING)


def unexpected_problem() -> Problem:
    """Return the response to a request that failed with an unexpected error."""
    return Problem(500, UNEXPECTED)

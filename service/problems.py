"""What can go wrong in a request, and how it is told: RFC 9457 `application/problem+json`, naming the wrong field."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from seedmint.models.errors import UserError
from seedmint.models.seeds import SeedCountError, SeedRangeError

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[UserError], int] = {SeedCountError: 413, SeedRangeError: 422}


class Problem(Exception):  # noqa: N818  # as RFC 9457 calls it
    """A request that gets no image. `detail` is one line for people; `field` is the part of the request that is wrong."""

    def __init__(self, status: int, detail: str, field: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: UserError, field: str) -> "Problem":
        """The problem of a value that the hall refuses: 413 too many seeds, 422 a seed out of range, 400 anything malformed."""
        return cls(_STATUS.get(type(error), 400), str(error), field)

    @classmethod
    def malformed(cls, errors: Sequence[Mapping[str, Any]]) -> "Problem":
        """400 for a body that does not validate, from the errors of pydantic: the first wrong field, and all said of it."""
        field = str(errors[0]["loc"][0])
        said = dict.fromkeys(error["msg"] for error in errors if error["loc"][0] == field)
        return cls(400, f"{field}: {'; or: '.join(list(said)[:3])}", field)

    def document(self) -> dict[str, str | int]:
        """What is sent, before it is JSON."""
        document = {"type": "about:blank", "title": self.status.phrase, "status": self.status.value, "detail": self.detail}
        if self.field is not None:
            document["field"] = self.field
        return document

    def response(self) -> Response:
        headers = {"Cache-Control": "no-store"} | self.headers
        return Response(json.dumps(self.document()) + "\n", self.status.value, headers, MEDIA_TYPE)


async def answer_problem(_: Request, error: Exception) -> Response:
    """Starlette's handler for `Problem`."""
    assert isinstance(error, Problem)
    return error.response()

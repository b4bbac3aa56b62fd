"""What can go wrong in a request, and how it is told: RFC 9457 `application/problem+json`, naming the wrong field."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from models.errors import UserError
from models.seeds import SeedRangeError

MEDIA_TYPE = "application/problem+json"

_LONGEST = 40  # characters of a request that an answer repeats


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
        """The problem of a value that the hall refuses: 422 for a seed out of range, 400 for anything malformed."""
        return cls(422 if isinstance(error, SeedRangeError) else 400, str(error), field)

    @classmethod
    def malformed(cls, errors: Sequence[Mapping[str, Any]]) -> "Problem":
        """400 for a body that does not validate, from the errors of pydantic: the first wrong field, and all said of it."""
        field = str(errors[0]["loc"][0])[:_LONGEST] if errors[0]["loc"] else "body"
        if errors[0]["type"] == "json_invalid":
            return cls(400, f"the body is not JSON: {errors[0]['msg'].removeprefix('Invalid JSON: ')}", field)
        if field == "body":
            return cls(400, "the body must be a JSON object", field)
        said = dict.fromkeys(error["msg"] for error in errors if str(error["loc"][0])[:_LONGEST] == field)
        return cls(400, f"{field}: {'; or: '.join(list(said)[:3])}", field)

    def response(self) -> Response:
        document = {"type": "about:blank", "title": self.status.phrase, "status": self.status.value, "detail": self.detail}
        if self.field is not None:
            document["field"] = self.field
        headers = {"Cache-Control": "no-store"} | self.headers
        return Response(json.dumps(document) + "\n", self.status.value, headers, MEDIA_TYPE)


async def answer_problem(_: Request, error: Exception) -> Response:
    """Starlette's handler for `Problem`."""
    assert isinstance(error, Problem)
    return error.response()

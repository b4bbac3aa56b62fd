"""Answers of the HTTP API, and its errors. `Client` and `AsyncClient` share them."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]


class ApiError(Exception):
    """An error response of the server (RFC 9457), or a response that no Seedmint server gives.

    Attributes:
        status: HTTP status.
        detail: One line for people; its text can change.
        field: The parameter that is wrong; None if no single parameter is wrong.
        reason: Code of the error for programs; it never changes. "unexpected_response": the host is no Seedmint server, or a
            proxy answered in its place.
        retry_after: Seconds to wait before the next attempt; None if the server names no time.
    """

    def __init__(
        self, status: int, detail: str, field: str | None = None, reason: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{status}: {detail}" if field is None else f"{status}: {field}: {detail}")
        self.status = status
        self.detail = detail
        self.field = field
        self.reason = reason
        self.retry_after = retry_after

    @classmethod
    def from_response(cls, response: httpx.Response) -> "ApiError":
        """Make the error of a response.

        Args:
            response: A response of status 400 or more, whose body was read.
        """
        retry_after = _retry_seconds(response.headers.get("retry-after", ""))
        try:
            problem = response.json()
            detail = str(problem["detail"])
        except (ValueError, KeyError, TypeError, RecursionError):  # a proxy's own error page
            return cls(response.status_code, response.reason_phrase or "an error", retry_after=retry_after)
        return cls(response.status_code, detail, problem.get("field"), problem.get("reason"), retry_after)

    @classmethod
    def unexpected(cls, response: httpx.Response, problem: str) -> "ApiError":
        """Make the error of a response that no Seedmint server gives.

        Args:
            response: A response of status 200 to 399.
            problem: What the response is, or lacks.
        """
        detail = f"{response.url} {problem}: check that the URL is that of a Seedmint server"
        return cls(response.status_code, detail, reason="unexpected_response")


def _retry_seconds(text: str) -> float | None:
    """Return the seconds of a header `Retry-After`, which has a number or a date; None for neither."""
    if text.isdecimal():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def check_response(response: httpx.Response) -> None:
    """Check a response before its body is used.

    Args:
        response: A response. The body of an error response was read.

    Raises:
        ApiError: The response is an error, or an HTML page.
    """
    if response.is_error:
        raise ApiError.from_response(response)
    if response.headers.get("content-type", "").lower().startswith("text/html"):
        raise ApiError.unexpected(response, "answers with an HTML page")


def parse_json(response: httpx.Response, members: Mapping[str, type]) -> Json:
    """Return the JSON object of a response.

    Args:
        response: A response whose body was read.
        members: Type of each member that the object must have, by its dotted path.

    Raises:
        ApiError: The body is not JSON, or not an object with these members.
    """
    try:
        document = response.json()
    except (ValueError, RecursionError):
        raise ApiError.unexpected(response, "does not answer with JSON") from None
    if not isinstance(document, dict):
        raise ApiError.unexpected(response, "does not answer with a JSON object")
    for path, kind in members.items():
        value: Any = document
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, kind):
            raise ApiError.unexpected(response, f"answers with JSON of other contents, without {path!r}")
    return document


def next_page(page: Json, base_url: httpx.URL) -> str | None:
    """Return the URL of the next page of a list; None after the last one.

    Args:
        page: A page of the list.
        base_url: URL of the server.
    """
    url = page.get("next_url")
    return None if url is None else str(base_url.join(str(url)))  # it contains the prefix of a proxy


def parse_npy(response: httpx.Response) -> NDArray[Any]:
    """Return the array of a response.

    Args:
        response: A response whose body was read: an npy file without pickled objects.

    Raises:
        ApiError: The body is not an npy file, or contains pickled objects.
    """
    try:
        array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(response.content), allow_pickle=False)
    except (ValueError, OverflowError, RecursionError):
        raise ApiError.unexpected(response, "does not answer with an npy file") from None
    return array

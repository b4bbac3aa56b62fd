"""A finished HTTP response as a value, independent of ASGI."""

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response

RawHeaders = list[tuple[bytes, bytes]]
"""Names in lower case."""


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as the lines of an HTTP/1.1 message.

    Args:
        headers: Names and values.
    """
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class SharedHeaders:
    """Headers of many replies, prepared once.

    Attributes:
        headers: Names in lower case, and values.
        lines: The headers as the lines of an HTTP/1.1 message.
    """

    __slots__ = ("headers", "lines")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """
        Args:
            headers: Names in lower case, and values.
        """
        self.headers = tuple(headers)
        self.lines = header_lines(self.headers)


NO_HEADERS = SharedHeaders()


@dataclass(slots=True)  # not frozen: faster to create
class Reply:
    """A finished HTTP response.

    Attributes:
        status: HTTP status.
        own: Headers of this reply.
        body: Empty for HEAD and for status 304.
        shared: Headers of many replies.
    """

    status: int
    own: RawHeaders
    body: bytes = b""
    shared: SharedHeaders = NO_HEADERS

    @property
    def headers(self) -> RawHeaders:
        """All headers, complete: also Content-Length."""
        return [*self.own, *self.shared.headers]

    @classmethod
    def of_response(cls, response: Response) -> "Reply":
        """Return a response of Starlette that is not streamed as a reply.

        Args:
            response: The response.
        """
        return cls(response.status_code, response.raw_headers, bytes(response.body))


class ReplyResponse(Response):
    """A reply as a response of Starlette."""

    def __init__(self, reply: Reply) -> None:
        """
        Args:
            reply: The reply to send as it is.
        """
        self.status_code = reply.status
        self.raw_headers = reply.headers
        self.body = reply.body
        self.background = None

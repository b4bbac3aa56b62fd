"""A finished HTTP response as a value, independent of ASGI."""

from dataclasses import dataclass

from starlette.responses import Response

RawHeaders = list[tuple[bytes, bytes]]
"""Names in lower case."""


@dataclass(slots=True)  # not frozen: faster to create
class Reply:
    """A finished HTTP response.

    Attributes:
        status: HTTP status.
        headers: Names and values, complete: also Content-Length.
        body: Empty for HEAD and for status 304.
    """

    status: int
    headers: RawHeaders
    body: bytes = b""


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

"""HTTP/1.1 on one connection: uvicorn's protocol class with limits. uvicorn limits neither heads nor pipelined requests.

The class relies on the callbacks of uvicorn's `HttpToolsProtocol`, on `send_400_response`, and on its attributes `parser`,
`pipeline`, `flow`, `cycle`, `headers`, `url` and `timeout_keep_alive_task`. pyproject.toml pins uvicorn to one minor version
for this reason.
"""

import asyncio
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from seedmint.service.problems import Problem
from seedmint.service.server.connections import Connections, limit_unsent_bytes
from seedmint.service.server.cors import headers_for
from seedmint.service.telemetry import metrics

MAX_HEAD_BYTES = 64 << 10  # of the URL and the headers, or of the trailers
MAX_HEADERS = 100
MAX_PIPELINED = 32  # requests that a client sends before it receives the response to an earlier request


class _LimitExceededError(Exception):
    """Stops the parser. The parser then reports an invalid request."""


class _Parser(httptools.HttpRequestParser):
    """A parser that ignores the upgrade of a request to another protocol.

    Otherwise the body of such a request would be lost, or parsed as the next request.
    """

    def __init__(self, protocol: "BoundedProtocol") -> None:
        super().__init__(protocol)
        self._protocol = protocol
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does: data after the last request is ignored

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._protocol.parse_again(data[upgrade.args[0] :])


class BoundedProtocol(HttpToolsProtocol):
    """Answers a head that is too large with 431, and closes a connection with too many pipelined requests.

    Only HTTP/1.1 is supported. An upgrade to HTTP/2 or to a WebSocket is ignored.

    Attributes:
        registry: The open connections of this process.
        allowed_origins: Web origins whose pages may read the error responses of this class.
    """

    registry: ClassVar[Connections]
    allowed_origins: ClassVar[tuple[str, ...]] = ()

    _head_bytes = 0
    _num_headers = 0
    _unparsed_bytes = 0  # bytes of an incomplete header, trailer or chunk line in the buffer of the parser
    _parsed_any = False
    _too_large = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ws_protocol_class = None
        self.parser = _Parser(self)

    @property
    def request(self) -> object:
        """The cycle of the latest request; None before the first request."""
        return self.cycle

    @property
    def has_request(self) -> bool:
        """Whether a request is in flight."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_kept_alive(self) -> bool:
        """Whether the keep-alive timeout of the connection is running."""
        return self.timeout_keep_alive_task is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.registry.open.add(self)
        limit_unsent_bytes(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.registry.open.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._parsed_any = False
        super().data_received(data)
        self._unparsed_bytes = 0 if self._parsed_any else self._unparsed_bytes + len(data)
        if self._unparsed_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._parsed_any, self._head_bytes, self._num_headers = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._add_to_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._num_headers += 1
        self._add_to_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._parsed_any = True
        hosts = [name for name, _ in self.headers].count(b"host")
        if len(self.pipeline) >= MAX_PIPELINED or hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise _LimitExceededError
        if not self.parser.should_upgrade():  # otherwise `parse_again` parses the request again
            super().on_headers_complete()
        elif self.parser.get_method() == b"CONNECT":
            raise _LimitExceededError

    def parse_again(self, rest: bytes) -> None:
        """Parse a request again, without its upgrade to another protocol.

        Args:
            rest: The data after the head of the request.
        """
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = _Parser(self)
        self.parser.feed_data(b"\r\n".join([*lines, b"", rest]))

    def on_body(self, body: bytes) -> None:
        self._parsed_any = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._parsed_any = True
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline and not self.transport.is_closing():
            self.flow.pause_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer an invalid or too large request with a problem, and close the connection.

        While an earlier request of the connection is in flight, close the connection without a response.

        Args:
            msg: Ignored; uvicorn passes it.
        """
        metrics.count_rejected("large_head" if self._too_large else "malformed")
        if self.has_request:
            self.transport.abort()
            return
        problem = (
            Problem(431, f"the URL and the headers exceed {MAX_HEAD_BYTES} bytes or {MAX_HEADERS} headers")
            if self._too_large
            else Problem(400, "the request is not valid HTTP/1.1")
        )
        origin = next((value.decode("latin-1") for name, value in self.headers or () if name == b"origin"), None)
        problem.headers |= headers_for(self.allowed_origins, origin)
        response = problem.response()
        lines = [f"HTTP/1.1 {problem.status.value} {problem.status.phrase}".encode()]
        lines += [name + b": " + value for name, value in [*response.raw_headers, (b"connection", b"close")]]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()

    def _add_to_head(self, count: int) -> None:
        self._parsed_any = True
        self._head_bytes += count
        if self._head_bytes > MAX_HEAD_BYTES or self._num_headers > MAX_HEADERS:
            self._too_large = True
            raise _LimitExceededError


def bounded_protocol(connections: Connections, origins: tuple[str, ...]) -> type[BoundedProtocol]:
    """Return the protocol class for one server.

    Args:
        connections: The open connections of this process.
        origins: Web origins whose pages may read the error responses of the class.
    """

    class Protocol(BoundedProtocol):
        registry = connections
        allowed_origins = origins

    return Protocol

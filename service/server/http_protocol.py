"""HTTP on one connection, by uvicorn's parser but within bounds: it keeps heads of any size, and any number of requests ahead.

What is relied on inside uvicorn: HttpToolsProtocol's callbacks, `parser`, `send_400_response`, `pipeline`, `flow` and `cycle`.
"""

import asyncio
from functools import partial
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from seedmint.service.problems import Problem
from seedmint.service.server.connections import bound_unsent
from seedmint.service.server.cors import headers_for
from seedmint.service.telemetry import metrics

MOST_HEAD_BYTES = 64 << 10  # of address and headers, trailers too
MOST_HEADERS = 100
MOST_AHEAD = 32  # requests sent without waiting for the answer to the one before


class _OutOfBounds(Exception):  # noqa: N818  # ends the parser's work, and is never seen
    """More than is kept for one request."""


class _Parser(httptools.HttpRequestParser):
    """Reads on where another protocol was asked for: without this, the body would be lost, or taken for the next request."""

    def __init__(self, protocol: "BoundedProtocol") -> None:
        super().__init__(protocol)
        self._protocol = protocol
        # As uvicorn has it: what comes after the last request is passed over.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._protocol.read_again(data[upgrade.args[0] :])


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head that is too large with 431, and breaks off a connection with too many requests ahead.

    No other protocol is spoken: who asks for HTTP/2 or a WebSocket is answered as if it had not.
    """

    _head = 0
    _headers = 0
    _unsaid = 0  # bytes that the parser keeps for itself: of a header, a trailer or a chunk's line that does not end
    _heard = False
    _large = False

    def __init__(self, *arguments: Any, origins: tuple[str, ...] = (), **named: Any) -> None:
        """`origins` are those whose pages may read what is answered here."""
        super().__init__(*arguments, **named)
        self._origins = origins
        self.parser = _Parser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        bound_unsent(transport)

    def data_received(self, data: bytes) -> None:
        self._heard = False
        super().data_received(data)
        self._unsaid = 0 if self._heard else self._unsaid + len(data)
        if self._unsaid > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._heard, self._head, self._headers = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._heard = True
        hosts = [name for name, _ in self.headers].count(b"host")
        if len(self.pipeline) >= MOST_AHEAD or hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise _OutOfBounds
        if not self.parser.should_upgrade():  # or it comes again
            super().on_headers_complete()
        elif self.parser.get_method() == b"CONNECT":
            raise _OutOfBounds

    def read_again(self, rest: bytes) -> None:
        """Read a request again as if it had not asked for another protocol, and then what follows its head."""
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = _Parser(self)
        self.parser.feed_data(b"\r\n".join([*lines, b"", rest]))

    def on_body(self, body: bytes) -> None:
        self._heard = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._heard = True
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline and not self.transport.is_closing():
            self.flow.pause_reading()

    def send_400_response(self, msg: str) -> None:
        """The answer to what is no request, or too large a one. Behind an answer that is under way there is none."""
        metrics.count_rejected("large_head" if self._large else "malformed")
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        problem = (
            Problem(431, f"address and headers are more than {MOST_HEAD_BYTES} bytes, or more than {MOST_HEADERS} headers")
            if self._large
            else Problem(400, "this is no HTTP request")
        )
        origin = next((value.decode("latin-1") for name, value in self.headers or () if name == b"origin"), None)
        problem.headers |= headers_for(self._origins, origin)
        response = problem.response()
        lines = [f"HTTP/1.1 {problem.status.value} {problem.status.phrase}".encode()]
        lines += [name + b": " + value for name, value in [*response.raw_headers, (b"connection", b"close")]]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()

    def _grow(self, count: int) -> None:
        self._heard = True
        self._head += count
        if self._head > MOST_HEAD_BYTES or self._headers > MOST_HEADERS:
            self._large = True
            raise _OutOfBounds


def bound(server: uvicorn.Server, origins: tuple[str, ...]) -> None:
    """Let a server's connections, from now on, keep within bounds.

    Args:
        origins: whose pages may read what is answered to them.

    Raises:
        RuntimeError: it does not use the parser that is known.
    """
    if server.config.http_protocol_class is not HttpToolsProtocol:
        raise RuntimeError(f"uvicorn {uvicorn.__version__} is not as service/server/http_protocol.py relies on it")
    server.config.ws_protocol_class = None
    server.config.http_protocol_class = partial(BoundedProtocol, origins=origins)  # type: ignore[assignment]

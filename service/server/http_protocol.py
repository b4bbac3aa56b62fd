"""HTTP/1.1 on one connection: uvicorn's protocol class with limits. uvicorn limits neither heads nor pipelined requests.

The class relies on the callbacks of uvicorn's `HttpToolsProtocol`, on `send_400_response`, and on its attributes `parser`,
`pipeline`, `flow`, `cycle`, `headers`, `url`, `limit_concurrency` and `timeout_keep_alive_task`. pyproject.toml pins uvicorn to
one minor version for this reason.
"""

import asyncio
import logging
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from seedmint.service.problems import Problem
from seedmint.service.server.connections import Connections, limit_unsent_bytes
from seedmint.service.server.cors import headers_for
from seedmint.service.server.fast_path import FastPath
from seedmint.service.server.forwarded_prefix import HEADER as PREFIX_HEADER
from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.request_context import request_id

_LOG = logging.getLogger(__name__)
MAX_HEAD_BYTES = 64 << 10  # of the URL and the headers, or of the trailers
MAX_HEADERS = 100
MAX_PIPELINED = 32  # requests that a client sends before it receives the response to an earlier request
_FIRST_REQUEST_SECONDS = 1.0  # at shutdown, for the first request of a new connection; less than _CLOSE_SECONDS of the worker

# Headers of requests that the application answers: of requests with a body, or with an expectation.
_NOT_SIMPLE = frozenset({b"content-length", b"transfer-encoding", b"expect"})


Network = IPv4Network | IPv6Network
_LOCAL_CLIENT = ("127.0.0.1", 0)


class _LimitExceededError(Exception):
    """Stops the parser. The parser then reports an invalid request."""


class BoundedProtocol(HttpToolsProtocol):
    """Answers a head that is too large with 431, and closes a connection with too many pipelined requests.

    Only HTTP/1.1 is supported. An upgrade to HTTP/2 or to a WebSocket is ignored.

    Attributes:
        registry: The open connections of this process.
        allowed_origins: Web origins whose pages may read the error responses of this class.
        fast_path: Answers simple requests without ASGI; None if the application answers all requests.
        root_path_bytes: Path prefix that is removed from the URLs of requests.
        trusted_proxies: Networks of proxies whose header X-Forwarded-Prefix is used.
        keep_alive_seconds: Time until an idle connection is closed.
    """

    registry: ClassVar[Connections]
    root_path_bytes: ClassVar[bytes] = b""
    trusted_proxies: ClassVar[tuple[Network, ...]] = ()
    keep_alive_seconds: ClassVar[float] = 75.0
    allowed_origins: ClassVar[tuple[str, ...]] = ()
    fast_path: ClassVar[FastPath | None] = None

    _head_bytes = 0
    _num_headers = 0
    _num_hosts = 0
    _num_fast = 0  # requests of one packet that the fast path has answered
    _is_simple = True
    _has_connection = False  # whether the request has a header Connection
    _idle_since: float | None = None  # since when the connection waits for its next request, in seconds of the event loop
    _unparsed_bytes = 0  # bytes of an incomplete header, trailer or chunk line in the buffer of the parser
    _parsed_any = False
    _too_large = False
    _is_last_request = False  # whether the connection is closed after its next response

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ws_protocol_class = None
        self.timeout_keep_alive = self.keep_alive_seconds  # type: ignore[assignment]
        self.parser = self._new_parser()

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
        """Whether the keep-alive timeout of the connection is running, and no head of a next request has begun."""
        return self._idle_since is not None and not self._head_bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is None:  # of a Unix socket
            self.client = _LOCAL_CLIENT
        self.registry.open.add(self)
        limit_unsent_bytes(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.registry.open.discard(self)
        self._idle_since = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._parsed_any = False
        self._num_fast = 0
        self._idle_since = None
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("")
        self._unparsed_bytes = 0 if self._parsed_any else self._unparsed_bytes + len(data)
        if self._unparsed_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_again(data[upgrade.args[0] :])

    def on_message_begin(self) -> None:
        self._parsed_any, self._head_bytes, self._num_headers, self._num_hosts = True, 0, 0, 0
        self._is_simple, self._has_connection = True, False
        self.url = b""
        self.headers = []

    def on_url(self, url: bytes) -> None:
        self._add_to_head(len(url))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._num_headers += 1
        self._add_to_head(len(name) + len(value))
        name = name.lower()
        if name == b"host":
            self._num_hosts += 1
        elif name == b"connection":
            self._has_connection = True
        elif name in _NOT_SIMPLE:
            self._is_simple = False
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._parsed_any = True
        hosts = self._num_hosts
        if len(self.pipeline) >= MAX_PIPELINED or hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise _LimitExceededError
        if self.parser.should_upgrade():  # `_parse_again` parses the request again
            if self.parser.get_method() == b"CONNECT":
                raise _LimitExceededError
        else:
            prefix = self.root_path_bytes
            if prefix and self.url.startswith(prefix + b"/"):
                self.url = self.url[len(prefix) :]
            if not (self._is_simple and self._start_fast()):
                self._start_application()

    def _start_fast(self) -> bool:
        """Start to answer a request on the fast path, unless an earlier request is in flight or the client does not read."""
        if self.fast_path is None or self.has_request or self.flow.write_paused or self.limit_concurrency is not None:
            return False
        if self._is_last_request:
            return False
        if self._num_fast > MAX_PIPELINED:
            raise _LimitExceededError
        keep_alive = self.parser.should_keep_alive()
        # Only HTTP/1.1 keeps a connection open without the header Connection. The version itself takes longer to read.
        if (self._has_connection or not keep_alive) and self.parser.get_http_version() != "1.1":
            return False
        try:
            is_fast = self.fast_path.start(self, self.parser.get_method(), self.url, keep_alive)
        except Exception:  # the parser would report an invalid request
            _LOG.exception("fast path failed")
            if self.has_request:
                self.transport.abort()
            return self.has_request
        self._num_fast += is_fast
        return is_fast

    def _start_application(self) -> None:
        """Let uvicorn start the application."""
        url, headers = self.url, self.headers
        super().on_message_begin()  # creates the scope
        self.url = url
        for name, value in headers:
            if name != PREFIX_HEADER or self._is_trusted():
                super().on_header(name, value)
        super().on_headers_complete()
        if self._is_last_request:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close the connection after its response. Wait for the first request of a new connection.

        Workers accept from one socket, and stop one after another. Without the wait, the client of a connection that a stopping
        worker has just accepted would receive a reset instead of a response.
        """
        if self.cycle is None and not self.transport.is_closing():
            self._is_last_request = True
            self.loop.call_later(_FIRST_REQUEST_SECONDS, self._close_without_request)
        else:
            super().shutdown()

    def _close_without_request(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def _is_trusted(self) -> bool:
        """Return whether the peer is a trusted proxy."""
        try:
            address = ip_address(self.client[0] if self.client else "")
        except ValueError:
            return False
        return any(address in network for network in self.trusted_proxies)

    def _parse_again(self, rest: bytes) -> None:
        """Parse a request again, without its upgrade to another protocol.

        Otherwise the body of such a request would be lost, or parsed as the next request.

        Args:
            rest: The data after the head of the request.
        """
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = self._new_parser()
        self._parse(b"\r\n".join([*lines, b"", rest]))

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn: ignore data after the last request
        return parser

    def on_body(self, body: bytes) -> None:
        self._parsed_any = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._parsed_any = True
        self._head_bytes = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Continue with the next request of the connection, or wait for it.

        uvicorn starts and cancels a timer for each request. This method starts the timer only if it is not running.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            if self.pipeline:
                self.flow.pause_reading()
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._start_timer(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it was idle for the keep-alive timeout."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        rest = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._start_timer(rest)
        else:
            super().timeout_keep_alive_handler()

    def _start_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

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
        own = [(b"x-request-id", request_id(self.headers or ())), (b"connection", b"close")]
        lines += [name + b": " + value for name, value in [*response.raw_headers, *own]]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()

    def _add_to_head(self, count: int) -> None:
        self._parsed_any = True
        self._head_bytes += count
        if self._head_bytes > MAX_HEAD_BYTES or self._num_headers > MAX_HEADERS:
            self._too_large = True
            raise _LimitExceededError


def bounded_protocol(
    connections: Connections,
    origins: tuple[str, ...],
    root_path: str = "",
    proxies: tuple[Network, ...] = (),
    keep_alive: float = BoundedProtocol.keep_alive_seconds,
) -> type[BoundedProtocol]:
    """Return the protocol class for one server.

    Args:
        connections: The open connections of this process.
        origins: Web origins whose pages may read the error responses of the class.
        root_path: Path prefix that is removed from the URLs of requests.
        proxies: Networks of trusted proxies.
        keep_alive: Seconds until an idle connection is closed.
    """

    class Protocol(BoundedProtocol):
        registry = connections
        allowed_origins = origins
        root_path_bytes = root_path.encode()
        trusted_proxies = proxies
        keep_alive_seconds = keep_alive

    return Protocol

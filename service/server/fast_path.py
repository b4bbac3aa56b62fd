"""The fast path: answers requests for single images in the protocol class, without a task, a scope and ASGI messages.

Most requests are for single images, and ASGI, its middleware and the router take several times as long as the rest of such a
request. The fast path answers a request only if it gives the response that the application gives; the application answers all
other requests. Access control, accounting and the resources are the objects that the application uses.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from http import HTTPStatus
from typing import Any, Protocol

from starlette.requests import ClientDisconnect

from seedmint.service.problems import DRAINING, Problem, draining_problem, unexpected_problem
from seedmint.service.server.auth_middleware import AccessControl
from seedmint.service.server.cors import headers_for
from seedmint.service.server.graceful_shutdown import GracefulShutdown
from seedmint.service.server.replies import Reply, header_lines
from seedmint.service.server.request_accounting import CLIENT_DISCONNECTED, RequestAccounting
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, GeneratorId, RequestContext, request_id

_LOG = logging.getLogger(__name__)
_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}
_CLOSE = (b"connection", b"close")
_CLOSE_LINE = header_lines([_CLOSE])

Headers = Sequence[tuple[bytes, bytes]]


class PendingReply(Protocol):
    """A reply whose body has to be generated."""

    def submit(self, context: RequestContext) -> asyncio.Future[Any]:
        """Start to generate the body, and return a future for `finish`."""

    def finish(self, generated: Any, context: RequestContext) -> Reply:
        """Return the finished reply."""


class Match(Protocol):
    """The answer to a request."""

    @property
    def template(self) -> str:
        """Route template, for metrics and logs."""

    @property
    def result(self) -> Reply | PendingReply:
        """The finished reply, or a reply whose body has to be generated."""

    @property
    def generator(self) -> GeneratorId:
        """Name and digest of the generator, for metrics and logs."""

    @property
    def is_short(self) -> bool:
        """Whether the body is so short that it can be sent without waiting for the client."""


MatchRequest = Callable[[str, bytes, bytes, Headers], Match | None]
"""Returns the answer to a request with a method, a path, a query and headers; None for a request of the application."""


class Connection(Protocol):
    """The attributes of a connection that the fast path needs."""

    cycle: Any
    client: tuple[str, int] | None
    headers: list[tuple[bytes, bytes]]
    server_state: Any
    transport: asyncio.Transport

    def on_response_complete(self) -> None:
        """Continue with the next request of the connection."""


class FastPath:
    """Answers requests in the protocol class. One object for all connections of a process."""

    def __init__(
        self,
        match: MatchRequest,
        to_problem: Callable[[Exception], Problem],
        shutdown: GracefulShutdown,
        accounting: RequestAccounting,
        access: AccessControl | None = None,
        origins: tuple[str, ...] = (),
        needs_address: bool = False,
    ) -> None:
        """
        Args:
            match: Finds the answer to a request.
            to_problem: Returns the problem document of an exception of `PendingReply`. Raises `ClientDisconnect` if the client
                has disconnected, and an exception that is unexpected.
            shutdown: State of the shutdown of this process.
            accounting: Counts and logs the requests.
            access: API keys and rate limits; None without keys and limits.
            origins: Web origins whose pages may read the responses.
            needs_address: Whether limits or logs need the address of the client, and trusted proxies name it in a header.
        """
        self.to_problem = to_problem
        self.shutdown = shutdown
        self.accounting = accounting
        self.access = access
        self.cors_lines = header_lines((name.lower().encode(), value.encode()) for name, value in headers_for(origins).items())
        self._match = match
        # Requests with one of these headers are left to the application.
        self._excluded = frozenset(([b"origin"] if origins else []) + ([b"x-forwarded-for"] if needs_address else []))
        self._default_headers: list[tuple[bytes, bytes]] = []
        self._default_lines = b""

    def start(self, connection: Connection, method: bytes, url: bytes, keep_alive: bool) -> bool:
        """Start to answer a request without a body.

        Args:
            connection: The connection. No other request of the connection is in flight.
            method: HTTP method.
            url: URL of the request.
            keep_alive: Whether the connection stays open after the response.

        Returns:
            Whether the fast path answers the request.
        """
        name = _METHODS.get(method)
        if name is None or self.shutdown.draining:
            return False
        headers = connection.headers
        path, _, query = url.partition(b"?")
        match = self._match(name, path, query, headers)
        if match is None or not match.is_short:
            return False
        if self._excluded and any(name in self._excluded for name, _ in headers):
            return False
        FastRequest(self, connection, name, match.template, keep_alive).start(headers, match.result, match.generator)
        return True

    def default_lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the default headers of the server as lines.

        Args:
            headers: The headers, Date for example. uvicorn replaces the list once a second.
        """
        if headers is not self._default_headers:
            self._default_headers, self._default_lines = headers, header_lines(headers)
        return self._default_lines


class FastRequest:
    """One request on the fast path. uvicorn handles it as the `RequestResponseCycle` and as the task of the request.

    Attributes:
        disconnected: Whether the client has disconnected.
        keep_alive: Whether the connection stays open after the response.
        more_body: Set by uvicorn at the end of the request, and not used.
        response_complete: Whether the response was sent.
        message_event: Does nothing; uvicorn sets the event of a cycle.
    """

    __slots__ = (
        "_connection",
        "_context",
        "_future",
        "_method",
        "_path",
        "_started",
        "_template",
        "_transport",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
    )

    class _Event:
        def set(self) -> None: ...

    message_event = _Event()

    def __init__(self, path: FastPath, connection: Connection, method: str, template: str, keep_alive: bool) -> None:
        """
        Args:
            path: The fast path.
            connection: The connection of the request.
            method: HTTP method.
            template: Path template of the route, for logs and metrics.
            keep_alive: Whether the connection stays open after the response.
        """
        self._started = time.perf_counter()
        self._path = path
        self._connection = connection
        self._transport = connection.transport
        self._method = method
        self._template = template
        self._future: asyncio.Future[Any] | None = None
        self.keep_alive = keep_alive
        self.disconnected = False
        self.more_body = False
        self.response_complete = False

    def start(self, headers: Headers, result: Reply | PendingReply, generator: GeneratorId) -> None:
        """Check the access of the client, and answer the request or start to generate the body.

        The request does not keep `result`: an idle connection keeps its last request, which must not keep a generator.

        Args:
            headers: Request headers; names in lower case.
            result: The answer, or what generates the answer.
            generator: Name and digest of the generator.
        """
        path, connection = self._path, self._connection
        host = connection.client[0] if connection.client else ""
        context = self._context = RequestContext(request_id(headers), host, self.is_disconnected)
        context.generator = generator
        connection.cycle = self
        token = REQUEST_CONTEXT.set(context)
        try:
            if path.access is not None:
                try:
                    path.access.check(headers, context)
                except Problem as problem:
                    self._send(Reply.of_response(problem.response()), None)
                    return
            if isinstance(result, Reply):
                self._send(result, self._template)
                return
            try:
                future = result.submit(context)
            except Exception as error:
                self._fail(error)
                return
            self._future = future
            path.shutdown.in_flight += 1
            connection.server_state.tasks.add(self)
            future.add_done_callback(partial(self._finish, result))  # in a copy of this context
        finally:
            REQUEST_CONTEXT.reset(token)

    def is_disconnected(self) -> bool:
        """Return whether the client has disconnected. Can be called in any thread."""
        return self.disconnected or self._transport.is_closing()

    def cancel(self, msg: object = None) -> None:
        """Answer 503. uvicorn cancels the tasks of requests that draining did not finish.

        Args:
            msg: Ignored; uvicorn passes it.
        """
        asyncio.get_running_loop().call_soon(self._stop)

    def _stop(self) -> None:
        future = self._future
        if future is not None and not self.response_complete:
            self._release()
            future.cancel()
            self._context.rejected = DRAINING
            self._send(Reply.of_response(draining_problem().response()), self._template)

    def _finish(self, pending: PendingReply, future: asyncio.Future[Any]) -> None:
        """Send the generated body, or the error of the generation."""
        if self.response_complete:  # stopped
            return
        self._release()
        try:
            reply = pending.finish(future.result(), self._context)
        except Exception as error:
            self._fail(error)
        else:
            self._send(reply, self._template)

    def _release(self) -> None:
        self._future = None  # an idle connection keeps its last request, which must not keep the body
        self._path.shutdown.in_flight -= 1
        self._connection.server_state.tasks.discard(self)

    def _fail(self, error: Exception) -> None:
        try:
            problem = self._path.to_problem(error)
        except ClientDisconnect:
            self._record(CLIENT_DISCONNECTED, self._template)
            return
        except Exception:
            _LOG.exception("request failed")
            problem = unexpected_problem()
        self._send(Reply.of_response(problem.response()), self._template)

    def _send(self, reply: Reply, route: str | None) -> None:
        """Write the response in one packet, and continue with the next request of the connection."""
        self._record(reply.status, route)
        if self.is_disconnected():
            return
        connection, path, transport = self._connection, self._path, self._transport
        is_last = not self.keep_alive
        parts = [
            _status_line(reply.status),
            path.default_lines(connection.server_state.default_headers),
            header_lines(reply.own),
            reply.shared.lines,
            path.cors_lines,
            b"x-request-id: %b\r\n" % self._context.request_id,
        ]
        if _CLOSE in reply.own:
            is_last = True
        elif is_last:
            parts.append(_CLOSE_LINE)
        parts.append(b"\r\n")
        if self._method != "HEAD":
            parts.append(reply.body)
        transport.write(b"".join(parts))
        if is_last:
            transport.close()
        connection.on_response_complete()

    def _record(self, status: int, route: str | None) -> None:
        self.response_complete = True
        self._path.accounting.record(self._context, route, self._method, status, self._started)


@cache
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()

"""The outermost ASGI middleware: request ids, write timeouts, problems, metrics, the access log, and draining."""

import asyncio
import logging
import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seedmint.service.problems import DRAINING, MEDIA_TYPE, UNEXPECTED, Problem, draining_problem, unexpected_problem
from seedmint.service.server.auth_middleware import PROBES
from seedmint.service.server.forwarded_prefix import forwarded_prefix
from seedmint.service.server.graceful_shutdown import GracefulShutdown
from seedmint.service.server.request_accounting import CLIENT_DISCONNECTED, RequestAccounting
from seedmint.service.server.response_cycle import (
    abort_connection,
    can_send_without_waiting,
    disconnect_check,
    send_together,
    send_until_close,
)
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext, request_id

_LOG = logging.getLogger(__name__)
# Bytes that the server must be able to write within the timeout. The kernel buffers on both sides accept data in steps.
# Therefore the client must read up to four times as many bytes within the timeout.
_PART_BYTES = 64 << 10
_MONITORING = PROBES | {"/metrics"}  # draining does not wait for requests to these paths
ANSWERED_WHILE_DRAINING = _MONITORING - {"/readyz", "/v2/health/ready"}
_KEPT_HEADERS = ("allow", "retry-after", "vary")  # of an error response that becomes a problem, besides the CORS headers

Middleware = Callable[[ASGIApp], ASGIApp]


class RequestMiddleware:
    """Handles each request from its head to the last byte of its response.

    It answers every error with a problem document, limits the time for writing to the client, counts and logs the request, and
    rejects requests while the server is draining.
    """

    def __init__(
        self,
        app: ASGIApp,
        timeout_seconds: float,
        shutdown: GracefulShutdown,
        access_log: bool = False,
        cors: Middleware | None = None,
        root_path: str = "",
    ) -> None:
        """
        Args:
            app: The application.
            timeout_seconds: Maximum time until the client has accepted the next part of a response.
            shutdown: State of the shutdown of this process.
            access_log: Whether each request is logged.
            cors: CORS middleware for the responses of the application and of this class; None without allowed origins.
            root_path: Path prefix of all URLs, unless a trusted proxy names another one.
        """
        self._root_path = root_path
        self._cors = cors or _without_cors
        self._app = self._cors(app)
        self._timeout = timeout_seconds
        self._shutdown = shutdown
        self._accounting = RequestAccounting(access_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        host = (scope.get("client") or ("",))[0]
        context = RequestContext(request_id(scope["headers"]), host, disconnect_check(receive))
        context.prefix = forwarded_prefix(scope["headers"], self._root_path)
        REQUEST_CONTEXT.set(context)
        response = _Response(send, self._timeout, context.request_id, self._cors, scope.get("http_version") == "1.0")
        if self._shutdown.draining and scope["path"] not in ANSWERED_WHILE_DRAINING:
            context.rejected = DRAINING
            await response.send_problem(draining_problem(), scope, receive)
            self._record(scope, context, response.status, started)
            return
        is_counted = scope["path"] not in _MONITORING
        self._shutdown.in_flight += is_counted
        try:
            await self._app(scope, receive, response.send)
        except Problem as problem:
            await response.send_problem(problem, scope, receive)
        except ClientDisconnect:
            response.status = CLIENT_DISCONNECTED
        except asyncio.CancelledError:  # uvicorn cancels the requests that draining did not finish, and would answer 500
            if not response.started:
                context.rejected = DRAINING
                await response.send_problem(draining_problem(), scope, receive)
            raise
        except Exception:
            _LOG.exception("request failed")
            await response.send_problem(unexpected_problem(), scope, receive)
        finally:
            self._shutdown.in_flight -= is_counted
            self._record(scope, context, response.status, started)

    def _record(self, scope: Scope, context: RequestContext, status: int, started: float) -> None:
        self._accounting.record(context, getattr(scope.get("route"), "path", None), scope["method"], status, started)


def _without_cors(app: ASGIApp) -> ASGIApp:
    return app


class _Response:
    """Sends one response. Keeps the head until the first part of the body.

    Head and body are then sent in one packet, and an error before the body can still become a problem.

    Attributes:
        status: HTTP status, or 499 if the client has disconnected; 0 before the application sends the head.
        started: Whether the head was sent.
    """

    def __init__(self, send: Send, timeout_seconds: float, request_id: bytes, cors: Middleware, is_http_1_0: bool) -> None:
        self._raw_send = send
        self._timeout = timeout_seconds
        self._id_header = (b"x-request-id", request_id)
        self._cors = cors
        self._has_no_chunks = is_http_1_0
        self._start: Message | None = None
        self._is_rewritten = False
        self.status = 0
        self.started = False

    async def send(self, message: Message) -> None:
        """The ASGI `send` for the application.

        Raises:
            ClientDisconnect: The client did not read in time.
        """
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._is_rewritten = self.status >= 400 and Headers(raw=message["headers"]).get("content-type") != MEDIA_TYPE
            self._start = message
            return
        if self._start is None:
            await self._send(None, message)
            return
        start = self._start
        if self._is_rewritten:
            if message.get("more_body", False):
                return
            response = _to_problem(start).response()
            start = {"type": "http.response.start", "status": self.status, "headers": response.raw_headers}
            message = {"type": "http.response.body", "body": response.body}
        self._start = None
        self.started = True
        await self._send({**start, "headers": [*start["headers"], self._id_header]}, message)

    async def _send(self, start: Message | None, message: Message) -> None:
        """Send a part of the response; a long body in several parts, each with its own timeout.

        Raises:
            ClientDisconnect: The client did not read in time. The connection is closed.
        """
        whole = message.get("body", b"")
        if start is not None:  # HTTP/1.0 has no chunks: the end of the connection is the end of the body
            self._has_no_chunks &= "content-length" not in Headers(raw=start["headers"])
        if self._has_no_chunks:
            await self._send_until_close(start, message)
            return
        if len(whole) <= _PART_BYTES and can_send_without_waiting(self._raw_send):
            await (self._raw_send(message) if start is None else send_together(self._raw_send, start, message))
            return
        body = memoryview(whole)
        last = max(0, len(body) - 1) // _PART_BYTES * _PART_BYTES
        try:
            for offset in range(0, last + 1, _PART_BYTES):
                async with asyncio.timeout(self._timeout):
                    if start is not None:
                        await self._raw_send(start)
                        start = None
                    if offset < last:
                        part = body[offset : offset + _PART_BYTES]
                        await self._raw_send({"type": "http.response.body", "body": part, "more_body": True})
                    else:
                        await self._raw_send({**message, "body": body[last:]} if last else message)
        except TimeoutError:
            abort_connection(self._raw_send)
            raise ClientDisconnect from None

    async def _send_until_close(self, start: Message | None, message: Message) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await send_until_close(self._raw_send, start, message)
        except TimeoutError:
            abort_connection(self._raw_send)
            raise ClientDisconnect from None

    async def send_problem(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        """Send a problem, unless the head of another response was sent.

        Args:
            problem: The problem.
            scope: The ASGI scope of the request.
            receive: The ASGI `receive` of the request.
        """
        if self.started:
            return
        try:
            await self._cors(problem.response())(scope, receive, self.send)
        except ClientDisconnect:
            self.status = CLIENT_DISCONNECTED


def _to_problem(start: Message) -> Problem:
    """Return the problem that replaces an error response of Starlette or BentoML.

    Args:
        start: The message `http.response.start` of that response.
    """
    status = HTTPStatus(start["status"])
    original_headers = Headers(raw=start["headers"]).items()
    headers = {name: value for name, value in original_headers if name in _KEPT_HEADERS or name.startswith("access-control-")}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("retry-after", "1")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # of Starlette's `max_body_size`; the rest of the body is not read
        return Problem(status, "the body is too large", "body", headers | {"Connection": "close"})
    detail = {
        HTTPStatus.NOT_FOUND: "no resource has this URL",
        HTTPStatus.METHOD_NOT_ALLOWED: f"method not allowed: use {headers.get('allow', 'another method')}",
        HTTPStatus.SERVICE_UNAVAILABLE: "the generators are being loaded",
        HTTPStatus.INTERNAL_SERVER_ERROR: UNEXPECTED,
    }.get(status, status.phrase)
    return Problem(status, detail, headers=headers)

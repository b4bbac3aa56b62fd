"""The service's outermost layer: waits for no client without end, turns every error into a problem, names and counts it all."""

import asyncio
import logging
import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seedmint.service.problems import MEDIA_TYPE, Problem
from seedmint.service.server.connections import has_left, send_together, takes_more
from seedmint.service.server.graceful_shutdown import GracefulShutdown
from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.logs import log_request
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext, request_id

UNMATCHED = "unmatched"
REFUSED = "refused"  # before a route was looked for

_LOG = logging.getLogger("seedmint")
_CLIENT_GONE = 499  # counted, never sent
# Bytes to be passed on within the deadline: slow is not stuck. What waits on both sides of the kernel goes in steps, so that
# the client itself must take up to four times as many to be sure.
_PIECE = 64 << 10
_WATCHING = frozenset({"/livez", "/readyz", "/metrics"})  # what stopping does not wait for
_NOT_STOPPED = _WATCHING - {"/readyz"}
_KEPT = ("allow", "retry-after", "vary")  # of an error that is rewritten; and the headers of CORS


class RequestMiddleware:
    """ASGI middleware around all that BentoML puts around the service."""

    def __init__(
        self,
        app: ASGIApp,
        timeout_seconds: float,
        stopping: GracefulShutdown,
        access_log: bool = False,
        origins: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    ) -> None:
        """`origins` makes answers readable for the pages of other origins: those of the application, and the edge's own."""
        self._app = origins(app)
        self._origins = origins
        self._timeout = timeout_seconds
        self._stopping = stopping
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        visit = RequestContext(request_id(scope["headers"]), (scope.get("client") or ("",))[0], has_left(receive))
        REQUEST_CONTEXT.set(visit)
        answer = _Answer(send, self._timeout, visit.request_id, self._origins)
        if self._stopping.begun and scope["path"] not in _NOT_STOPPED:
            visit.rejected = "stopping"
            refusal = Problem(503, "the server is stopping", headers={"Retry-After": "5", "Connection": "close"})
            await answer.refuse(refusal, scope, receive)
            self._observe(scope, visit, answer.status, started)
            return
        counted = scope["path"] not in _WATCHING
        self._stopping.under_way += counted
        try:
            await self._app(scope, receive, answer.send)
        except Problem as problem:
            await answer.refuse(problem, scope, receive)
        except ClientDisconnect:
            answer.status = _CLIENT_GONE
        except Exception:
            _LOG.exception("a request failed")
            await answer.refuse(Problem(500, "an unexpected error; the server's log says more"), scope, receive)
        finally:
            self._stopping.under_way -= counted
            self._observe(scope, visit, answer.status, started)

    def _observe(self, scope: Scope, visit: RequestContext, status: int, started: float) -> None:
        route = getattr(scope.get("route"), "path", None) or (REFUSED if visit.rejected else UNMATCHED)
        method = metrics.known_method(scope["method"])
        seconds = time.perf_counter() - started
        metrics.observe_request(route, method, status, seconds, visit.rejected)
        if self._access_log:
            log_request(visit, route, method, status, seconds)


class _Answer:
    """What goes out. The head is held back for the body: they go together, and an error that is no problem yet becomes one."""

    def __init__(self, send: Send, timeout_seconds: float, request_id: bytes, origins: Callable[[ASGIApp], ASGIApp]) -> None:
        self._raw_send = send
        self._timeout = timeout_seconds
        self._id = (b"x-request-id", request_id)
        self._origins = origins
        self._head: Message | None = None
        self._rewriting = False
        self.status = 0
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._rewriting = self.status >= 400 and Headers(raw=message["headers"]).get("content-type") != MEDIA_TYPE
            self._head = message
            return
        if self._head is None:
            await self._send(None, message)
            return
        head = self._head
        if self._rewriting:
            if message.get("more_body", False):
                return
            response = _rewritten(head).response()
            head = {"type": "http.response.start", "status": self.status, "headers": response.raw_headers}
            message = {"type": "http.response.body", "body": response.body}
        self._head = None
        self.started = True
        await self._send({**head, "headers": [*head["headers"], self._id]}, message)

    async def _send(self, head: Message | None, message: Message) -> None:
        """Send a part of the answer, in pieces if it is long.

        Raises:
            ClientDisconnect: the client does not take it in time. The connection is broken then.
        """
        whole = message.get("body", b"")
        if len(whole) <= _PIECE and takes_more(self._raw_send):  # nothing is waited for
            await (self._raw_send(message) if head is None else send_together(self._raw_send, head, message))
            return
        body = memoryview(whole)
        last = max(0, len(body) - 1) // _PIECE * _PIECE
        try:
            for start in range(0, last + 1, _PIECE):
                async with asyncio.timeout(self._timeout):
                    if head is not None:
                        await self._raw_send(head)
                        head = None
                    if start < last:
                        piece = {"type": "http.response.body", "body": body[start : start + _PIECE], "more_body": True}
                        await self._raw_send(piece)
                    else:
                        await self._raw_send({**message, "body": body[last:]} if last else message)
        except TimeoutError:
            # ASGI has no word for it: a connection that is closed still waits for its client to take what was written.
            transport = getattr(getattr(self._raw_send, "__self__", None), "transport", None)
            if transport is not None:
                transport.abort()
            raise ClientDisconnect from None

    async def refuse(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        """Send a problem, unless an answer has begun: then only breaking it off is left."""
        if self.started:
            return
        try:
            await self._origins(problem.response())(scope, receive, self.send)
        except ClientDisconnect:
            self.status = _CLIENT_GONE


def _rewritten(start: Message) -> Problem:
    """The problem of an error answer that Starlette or BentoML made, by its status."""
    status = HTTPStatus(start["status"])
    given = Headers(raw=start["headers"]).items()
    headers = {name: value for name, value in given if name in _KEPT or name.startswith("access-control-")}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("retry-after", "1")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # of Starlette's `max_body_size`; the rest of the body is not read
        return Problem(status, "the body is too large", "body", headers | {"Connection": "close"})
    detail = {
        HTTPStatus.NOT_FOUND: "there is nothing at this address",
        HTTPStatus.METHOD_NOT_ALLOWED: f"this address answers {headers.get('allow', 'another method')}",
        HTTPStatus.SERVICE_UNAVAILABLE: "the generators are being loaded",
        HTTPStatus.INTERNAL_SERVER_ERROR: "an unexpected error; the server's log says more",
    }.get(status, status.phrase)
    return Problem(status, detail, headers=headers)

"""The service's outermost layer: waits for no client without end, turns every error into a problem, and counts it all."""

import asyncio
import logging
import time
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics
from service.problems import MEDIA_TYPE, Problem

UNMATCHED = "unmatched"

_LOG = logging.getLogger("seedmint")
_CLIENT_GONE = 499  # counted, never sent
_PIECE = 64 << 10  # bytes a client must take within the deadline: slow is not stuck


class Edge:
    """ASGI middleware around all that BentoML puts around the service."""

    def __init__(self, app: ASGIApp, timeout_seconds: float) -> None:
        self._app = app
        self._timeout = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        answer = _Answer(send, self._timeout)
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
            template = getattr(scope.get("route"), "path", None) or UNMATCHED
            metrics.observe_request(template, scope["method"], answer.status, time.perf_counter() - started)


class _Answer:
    """What goes out. Holds back an error that is not a problem yet, and sends a problem in its place."""

    def __init__(self, send: Send, timeout_seconds: float) -> None:
        self._raw_send = send
        self._timeout = timeout_seconds
        self._held: Message | None = None
        self.status = 0
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            if self.status >= 400 and Headers(raw=message["headers"]).get("content-type") != MEDIA_TYPE:
                self._held = message
                return
        elif self._held is not None:
            if not message.get("more_body", False):
                response = _rewritten(self._held).response()
                await self._send({"type": "http.response.start", "status": self.status, "headers": response.raw_headers})
                await self._send({"type": "http.response.body", "body": response.body})
            return
        await self._send(message)

    async def _send(self, message: Message) -> None:
        """Send one message, in pieces if it is long.

        Raises:
            ClientDisconnect: the client does not take it in time. The connection is broken then.
        """
        body = memoryview(message.get("body", b""))
        try:
            for start in range(_PIECE, len(body), _PIECE):
                piece = {"type": "http.response.body", "body": body[start - _PIECE : start], "more_body": True}
                async with asyncio.timeout(self._timeout):
                    await self._raw_send(piece)
            if len(body) > _PIECE:
                message = {**message, "body": body[(len(body) - 1) // _PIECE * _PIECE :]}
            async with asyncio.timeout(self._timeout):
                await self._raw_send(message)
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
            await problem.response()(scope, receive, self.send)
        except ClientDisconnect:
            self.status = _CLIENT_GONE


def _rewritten(start: Message) -> Problem:
    """The problem of an error answer that Starlette or BentoML made, by its status."""
    status = HTTPStatus(start["status"])
    headers = {name: value for name, value in Headers(raw=start["headers"]).items() if name in ("allow", "retry-after")}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("retry-after", "1")
    detail = {
        HTTPStatus.NOT_FOUND: "there is nothing at this address",
        HTTPStatus.METHOD_NOT_ALLOWED: f"this address answers {headers.get('allow', 'another method')}",
        HTTPStatus.SERVICE_UNAVAILABLE: "the generators are being loaded",
        HTTPStatus.INTERNAL_SERVER_ERROR: "an unexpected error; the server's log says more",
    }.get(status, status.phrase)
    return Problem(status, detail, headers=headers)

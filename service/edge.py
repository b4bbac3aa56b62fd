"""The service's outermost layer: bounds what comes in, turns every error that goes out into a problem, and counts it all."""

import asyncio
import contextlib
import json
import logging
import time
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics
from service.problems import MEDIA_TYPE, Problem

MAX_BODY_BYTES = 8 << 20
UNMATCHED = "unmatched"

_LOG = logging.getLogger("seedmint")
_CLIENT_GONE = 499  # counted, never sent


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
        answer = _Answer(send)
        try:
            if scope["method"] not in ("GET", "HEAD"):
                receive = await self._read_body(scope, receive)
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

    async def _read_body(self, scope: Scope, receive: Receive) -> Receive:
        """Read the whole body, within bounds of size and time, and give a `receive` that plays it back."""
        too_large = Problem(413, f"the body is larger than {MAX_BODY_BYTES} bytes", "body", {"Connection": "close"})
        headers = Headers(scope=scope)
        media_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Problem(415, "send a body with Content-Type: application/json", "Content-Type")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > MAX_BODY_BYTES:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    body += message.get("body", b"")
                    if len(body) > MAX_BODY_BYTES:
                        raise too_large
                    more = message.get("more_body", False)
        except TimeoutError:
            detail = f"the body did not arrive within {self._timeout:g} seconds"
            raise Problem(408, detail, "body", {"Connection": "close"}) from None
        played: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return played.pop() if played else await receive()

        return replay


class _Answer:
    """What goes out. Holds back an error that is not a problem yet, and sends a problem in its place."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: Message | None = None
        self._body = b""
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
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                response = _rewritten(self._held, self._body).response()
                await self._send({"type": "http.response.start", "status": self.status, "headers": response.raw_headers})
                await self._send({"type": "http.response.body", "body": response.body})
            return
        await self._send(message)

    async def refuse(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        """Send a problem, unless an answer has begun: then only breaking it off is left."""
        if self.started:
            return
        await problem.response()(scope, receive, self.send)


def _rewritten(start: Message, body: bytes) -> Problem:
    """The problem of an error answer that Starlette or BentoML made: text, or JSON with `error` and `detail`."""
    status = HTTPStatus(start["status"])
    headers = {name: value for name, value in Headers(raw=start["headers"]).items() if name in ("allow", "retry-after")}
    if status == HTTPStatus.BAD_REQUEST:
        with contextlib.suppress(ValueError, LookupError, TypeError):
            return Problem.malformed(json.loads(body)["detail"])
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("retry-after", "1")
    detail = {
        HTTPStatus.NOT_FOUND: "there is nothing at this address",
        HTTPStatus.METHOD_NOT_ALLOWED: f"this address answers {headers.get('allow', 'another method')}",
        HTTPStatus.SERVICE_UNAVAILABLE: "the generators are being loaded",
        HTTPStatus.INTERNAL_SERVER_ERROR: "an unexpected error; the server's log says more",
    }.get(status, status.phrase)
    return Problem(status, detail, headers=headers)

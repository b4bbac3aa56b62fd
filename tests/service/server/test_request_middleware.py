"""The request middleware alone: an error is one log line without secrets and a problem document without details."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from seedmint.service.problems import Problem
from seedmint.service.server.cors import CorsMiddleware
from seedmint.service.server.graceful_shutdown import GracefulShutdown
from seedmint.service.server.request_middleware import RequestMiddleware
from seedmint.service.telemetry.logs import configure_logs, format_error

SECRET = "sm_IShouldNotBeShown"
ORIGIN = "https://lab.example"


@pytest.fixture(params=["text", "json"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """All log records of all loggers, in the format of a server."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    before = [(other, other.formatter, list(other.filters)) for other in root.handlers]
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("seedmint").setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    configure_logs(request.param)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)
    for other, formatter, filters in before:
        other.formatter, other.filters = formatter, filters


def send_request(app: ASGIApp, **headers: str) -> httpx.Response:
    """Send a request through the middleware. The argument `a_b` becomes the header `a-b`."""

    async def send() -> httpx.Response:
        middleware = RequestMiddleware(app, 5.0, GracefulShutdown(), access_log=True)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(middleware), base_url="http://here") as client:
            return await client.get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asyncio.run(send())


def failing_app(error: Exception, after: list[dict[str, Any]] | None = None) -> ASGIApp:
    """Return an application that sends the messages `after` and then raises an error."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in after or []:
            await send(message)
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (ValueError("odd\nand more"), "ValueError in app (test_request_middleware.py:"),
        (FileNotFoundError(2, "No such file or directory", "/srv/private/models"), "No such file or directory"),
        (RuntimeError(), "RuntimeError in app"),
    ],
)
def test_an_unexpected_error_is_one_log_line_and_a_problem(log: io.StringIO, error: Exception, part: str):
    answer = send_request(failing_app(error), X_API_Key=SECRET, Authorization=f"Bearer {SECRET}", X_Request_Id="here-1")
    assert answer.status_code == 500
    assert answer.json()["reason"] == "internal_error"
    assert answer.headers["x-request-id"] == "here-1"
    first, request = log.getvalue().splitlines()
    assert part in first
    assert "here-1" in request
    for word in (SECRET, "Traceback", "/srv", "and more", str(logging.__file__)):
        assert word not in log.getvalue()
        assert word not in answer.text


def test_json_lines_have_the_request_id(log: io.StringIO):
    send_request(failing_app(ValueError('a "quoted" word')), X_Request_Id="here-2")
    if not log.getvalue().startswith("{"):
        return  # the text format
    error, request = (json.loads(line) for line in log.getvalue().splitlines())
    assert (error["level"], error["logger"], error["request_id"]) == (
        "error",
        "seedmint.service.server.request_middleware",
        "here-2",
    )
    assert error["message"].endswith(': a "quoted" word')
    assert (request["level"], request["route"], request["status"]) == ("info", "unmatched", 500)


START = {"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"x"')]}


def test_an_error_before_the_body_is_a_problem():
    assert send_request(failing_app(ValueError(), [START])).status_code == 500


def test_an_error_within_the_body_ends_the_response():
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    app = failing_app(ValueError(), [START, {"type": "http.response.body", "body": b"a", "more_body": True}])
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(RequestMiddleware(app, 5.0, GracefulShutdown())(scope, None, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
    assert sent[-1]["more_body"]


def test_a_disconnected_client_is_not_an_error(log: io.StringIO):
    with pytest.raises(AssertionError):  # httpx expects a response, and the middleware sends none
        send_request(failing_app(ClientDisconnect()))
    (request,) = log.getvalue().splitlines()
    assert "499" in request


@pytest.mark.parametrize(("messages", "status"), [([], 503), ([START], 503), ([START, {"type": "http.response.body"}], 200)])
def test_a_request_that_the_server_cancels_is_answered_503(log: io.StringIO, messages: list[dict[str, Any]], status: int):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        await asyncio.Event().wait()

    sent: list[Any] = []

    async def cancel() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        middleware = RequestMiddleware(app, 5.0, GracefulShutdown(), access_log=True)
        request = asyncio.create_task(middleware(scope, None, send))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(cancel())
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == [status]
    (line,) = log.getvalue().splitlines()
    assert f" {status} " in line or f'"status": {status},' in line


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200_000])
def test_long_bodies_are_sent_in_pieces(size: int):
    body = bytes(i % 251 for i in range(size))
    sent: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": body})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(
        RequestMiddleware(app, 5.0, GracefulShutdown())(
            {"type": "http", "method": "GET", "path": "/", "headers": []}, None, send
        )
    )  # type: ignore[arg-type]
    assert b"".join(bytes(message["body"]) for message in sent[1:]) == body
    assert max(len(message["body"]) for message in sent[1:]) <= 65536
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(sent) - 2) + [False]
    assert [name for name, _ in sent[0]["headers"]] == [b"etag", b"x-request-id"]
    assert START["headers"] == [(b"etag", b'"x"')]  # the message of the application is not changed


@pytest.mark.parametrize("error", [ValueError("odd"), Problem(503, "not now", headers={"Retry-After": "5"})])
@pytest.mark.parametrize("origin", [ORIGIN, "https://evil.example"])
def test_pages_of_allowed_origins_may_read_problems_of_the_middleware(error: Exception, origin: str):
    middleware = RequestMiddleware(failing_app(error), 5.0, GracefulShutdown(), cors=partial(CorsMiddleware, origins=(ORIGIN,)))

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(middleware), base_url="http://here") as client:
            return await client.get("/", headers={"Origin": origin})

    answer = asyncio.run(send())
    assert answer.status_code == (503 if isinstance(error, Problem) else 500)
    assert answer.headers["vary"] == "Origin"
    assert answer.headers.get("access-control-allow-origin") == (ORIGIN if origin == ORIGIN else None)
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_a_formatted_error_is_one_line_with_function_and_file():
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    assert format_error(caught.value).startswith("JSONDecodeError in raw_decode (decoder.py:")
    assert "\n" not in format_error(caught.value)

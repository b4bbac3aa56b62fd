"""The outermost layer by itself: what goes wrong inside is one line in the log and a problem outside, and no word too many."""

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
    """Everything that is logged by anyone, as a server writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    before = [(one, one.formatter, list(one.filters)) for one in root.handlers]
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("seedmint").setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    configure_logs(request.param)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)
    for one, formatter, filters in before:
        one.formatter, one.filters = formatter, filters


def ask(app: ASGIApp, **headers: str) -> httpx.Response:
    async def once() -> httpx.Response:
        edge = RequestMiddleware(app, 5.0, GracefulShutdown(), access_log=True)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://here") as client:
            return await client.get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asyncio.run(once())


def fail(error: Exception, after: list[dict[str, Any]] | None = None) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in after or []:
            await send(message)
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("odd\nand more"), "ValueError in app (test_request_middleware.py:"),
        (FileNotFoundError(2, "No such file or directory", "/srv/private/models"), "No such file or directory"),
        (RuntimeError(), "RuntimeError in app"),
    ],
)
def test_an_unexpected_error_is_one_line_and_a_problem(log: io.StringIO, error: Exception, said: str):
    answer = ask(fail(error), X_API_Key=SECRET, Authorization=f"Bearer {SECRET}", X_Request_Id="here-1")
    assert answer.status_code == 500
    assert answer.json()["reason"] == "internal_error"
    assert answer.headers["x-request-id"] == "here-1"
    first, request = log.getvalue().splitlines()
    assert said in first
    assert "request failed" in first
    assert "here-1" in request
    for word in (SECRET, "Traceback", "/srv", "and more", str(logging.__file__)):
        assert word not in log.getvalue()
        assert word not in answer.text


def test_json_lines_are_objects_with_the_request_they_belong_to(log: io.StringIO):
    ask(fail(ValueError('a "quoted" word')), X_Request_Id="here-2")
    if not log.getvalue().startswith("{"):
        return  # as text
    error, request = (json.loads(line) for line in log.getvalue().splitlines())
    assert (error["level"], error["logger"], error["request_id"]) == (
        "error",
        "seedmint.service.server.request_middleware",
        "here-2",
    )
    assert error["message"].endswith(': a "quoted" word')
    assert (request["level"], request["route"], request["status"]) == ("info", "unmatched", 500)


START = {"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"x"')]}


def test_an_answer_that_fails_before_its_body_is_still_a_problem():
    assert ask(fail(ValueError(), [START])).status_code == 500


def test_an_answer_that_fails_in_its_body_is_broken_off():
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    app = fail(ValueError(), [START, {"type": "http.response.body", "body": b"a", "more_body": True}])
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(RequestMiddleware(app, 5.0, GracefulShutdown())(scope, None, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
    assert sent[-1]["more_body"]


def test_a_client_that_left_is_no_error(log: io.StringIO):
    with pytest.raises(AssertionError):  # httpx asks for an answer, and there is nobody to send one to
        ask(fail(ClientDisconnect()))
    (request,) = log.getvalue().splitlines()
    assert "499" in request


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200_000])
def test_long_bodies_go_out_whole_in_pieces(size: int):
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
    assert START["headers"] == [(b"etag", b'"x"')]  # what the application keeps is left as it was


@pytest.mark.parametrize("error", [ValueError("odd"), Problem(503, "not now", headers={"Retry-After": "5"})])
@pytest.mark.parametrize("origin", [ORIGIN, "https://evil.example"])
def test_pages_of_allowed_origins_may_read_its_own_problems(error: Exception, origin: str):
    edge = RequestMiddleware(fail(error), 5.0, GracefulShutdown(), cors=partial(CorsMiddleware, origins=(ORIGIN,)))

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://here") as client:
            return await client.get("/", headers={"Origin": origin})

    answer = asyncio.run(once())
    assert answer.status_code == (503 if isinstance(error, Problem) else 500)
    assert answer.headers["vary"] == "Origin"
    assert answer.headers.get("access-control-allow-origin") == (ORIGIN if origin == ORIGIN else None)
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_an_error_is_told_in_a_line_that_says_where():
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # whatever it says
        json.loads("{")
    assert format_error(caught.value).startswith("JSONDecodeError in raw_decode (decoder.py:")
    assert "\n" not in format_error(caught.value)

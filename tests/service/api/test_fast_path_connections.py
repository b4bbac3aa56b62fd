"""Connections with the fast path: order of responses, limits, access control, disconnects and shutdown."""

import asyncio
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seedmint.service.batching.errors import ClientGone
from seedmint.service.server.api_keys import Keyring, new_key
from seedmint.service.server.auth_middleware import AccessControl
from seedmint.service.server.http_protocol import MAX_PIPELINED, BoundedProtocol
from seedmint.service.server.rate_limiter import RateLimiter
from seedmint.service.settings import read_settings
from seedmint.service.telemetry import metrics
from tests.support.in_process import Application, Transport, application, message, parse_answer

KEY, LINE = new_key("alice")


@pytest.fixture(scope="module")
def running(models: Path) -> Iterator[Application]:
    with application(models) as found:
        yield found


@pytest.fixture
def image(running: Application) -> str:
    return f"{running.pinned('grey')}/images/1.png"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str | None]]:
    """Method, status and rejection of each request that is counted."""
    found: list[tuple[str, int, str | None]] = []

    def record(route, method, status, seconds, rejected=None, generator=None):
        found.append((method, status, rejected))

    monkeypatch.setattr(metrics, "observe_request", record)
    return found


def transport_of(protocol: BoundedProtocol) -> Transport:
    transport: Any = protocol.transport
    return transport


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def test_pipelined_requests_are_answered_in_order(running: Application, image: str):
    """A generated image, a request of the application, a 304 and an error, in one packet and byte by byte."""
    parts = [
        message("GET", image, close=False),
        message("GET", "/v1/models/grey/images/3.png", close=False),
        message("GET", image, [(b"if-none-match", b"*")], close=False),
        message("HEAD", image, close=False),
        message("GET", f"{running.pinned('grey')}/images/2.webp", close=False),
        message("GET", "/nothing", close=True),
    ]
    expected = running.exchange(False, b"".join(parts))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", expected) == [b"200", b"307", b"304", b"200", b"200", b"404"]
    assert running.exchange(True, b"".join(parts)) == expected

    async def byte_by_byte() -> bytes:
        protocol = running.protocol(True)
        for byte in b"".join(parts):
            protocol.data_received(bytes([byte]))
        await asyncio.wait_for(transport_of(protocol).closed.wait(), 20)
        protocol.connection_lost(None)
        return bytes(transport_of(protocol).written)

    assert running.runner.run(byte_by_byte()) == expected


def test_an_idle_connection_does_not_keep_its_last_body(running: Application, image: str, monkeypatch: pytest.MonkeyPatch):
    batcher = running.repository.find("grey", None).batcher
    submit = batcher.submit
    entries: list[weakref.ref[Any]] = []

    def keep(*arguments: Any) -> Any:
        entry = submit(*arguments)
        entries.append(weakref.ref(entry))
        return entry

    monkeypatch.setattr(batcher, "submit", keep)

    async def scenario() -> None:
        protocol = running.protocol(True)
        protocol.data_received(message("GET", image, close=False))
        await until(lambda: protocol.is_kept_alive)
        await until(lambda: entries[0]() is None)
        protocol.connection_lost(None)

    running.runner.run(scenario())


def test_requests_on_one_connection_use_the_fast_path_again_and_again(running: Application, image: str):
    before = running.passed_on

    async def scenario() -> None:
        protocol = running.protocol(True)
        for number in range(1, 5):
            protocol.data_received(message("GET", image, close=False))
            await until(lambda count=number: transport_of(protocol).written.count(b"HTTP/1.1 200") == count)
            assert protocol.is_kept_alive
            assert not protocol.has_request
        protocol.connection_lost(None)
        assert not protocol.is_kept_alive

    running.runner.run(scenario())
    assert running.passed_on == before


@pytest.mark.parametrize("is_fast", [True, False])
def test_a_connection_is_closed_when_it_was_idle_for_the_keep_alive_timeout(running: Application, image: str, is_fast: bool):
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        protocol = running.protocol(is_fast)
        protocol.timeout_keep_alive = 1  # seconds
        closed = transport_of(protocol).closed
        for number in range(1, 4):
            await asyncio.sleep(0.5)
            assert not closed.is_set()
            protocol.data_received(message("GET", image, close=False))
            await until(lambda count=number: transport_of(protocol).written.count(b"HTTP/1.1 200") == count)
        answered = loop.time()
        await asyncio.wait_for(closed.wait(), 20)
        assert loop.time() - answered > 0.9
        protocol.connection_lost(None)

    running.runner.run(scenario())


def test_too_many_pipelined_requests_close_the_connection(running: Application, image: str):
    part = message("GET", image, [(b"if-none-match", b"*")], close=False)
    written = running.exchange(True, part * (2 * MAX_PIPELINED))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", written) == [b"304"] * (MAX_PIPELINED + 1) + [b"400"]


def test_the_application_answers_a_client_that_does_not_read(running: Application, image: str):
    """The application waits for the client within the timeout."""
    before = running.passed_on

    async def scenario() -> None:
        protocol = running.protocol(True)
        protocol.pause_writing()
        protocol.data_received(message("GET", image, close=False))
        await asyncio.sleep(0.05)
        assert not transport_of(protocol).written
        protocol.resume_writing()
        await until(lambda: transport_of(protocol).written)
        protocol.connection_lost(None)

    running.runner.run(scenario())
    assert running.passed_on == before + 1


@pytest.mark.parametrize(
    "headers",
    [[], [(b"x-api-key", b"sm_unknown")], [(b"x-api-key", KEY.encode())], [(b"authorization", b"Bearer " + KEY.encode())]],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_access_is_controlled_equally(
    running: Application, image: str, headers: Any, method: str, recorded: list[tuple[str, int, str | None]]
):
    keyring = Keyring([(LINE, "api_keys", "here")])
    before = running.passed_on
    answers = [
        running.exchange(is_fast, message(method, image, headers), access=AccessControl(keyring, None))
        for is_fast in (True, False)
    ]
    assert answers[0] == answers[1]
    is_allowed = KEY.encode() in b"".join(value for _, value in headers)
    assert parse_answer(answers[0]).status == (200 if is_allowed else 401)
    assert recorded[0] == recorded[1] == (method, 200 if is_allowed else 401, None if is_allowed else "no_key")
    assert running.passed_on == before


@pytest.mark.parametrize(
    ("setting", "reason"), [("SEEDMINT_REQUESTS_PER_SECOND", "rate_limit"), ("SEEDMINT_IMAGES_PER_MINUTE", "image_limit")]
)
def test_limits_are_equal(
    running: Application, image: str, setting: str, reason: str, recorded: list[tuple[str, int, str | None]]
):
    answers = []
    for is_fast in (True, False):
        access = AccessControl(None, RateLimiter(read_settings({setting: "2"}), lambda: 0.0))
        answers.append([running.exchange(is_fast, message("GET", image), access=access) for _ in range(3)])
    assert answers[0] == answers[1]
    assert [parse_answer(answer).status for answer in answers[0]] == [200, 200, 429]
    assert parse_answer(answers[0][2]).header(b"retry-after") is not None
    assert recorded[:3] == recorded[3:] == [("GET", 200, None), ("GET", 200, None), ("GET", 429, reason)]


def test_limits_of_clients_behind_a_proxy_are_left_to_the_application(running: Application, image: str):
    access = AccessControl(None, RateLimiter(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": "2"})))
    before = running.passed_on
    data = message("GET", image, [(b"x-forwarded-for", b"203.0.113.9")])
    assert parse_answer(running.exchange(True, data, access=access, needs_address=True)).status == 200
    assert running.passed_on == before + 1
    assert parse_answer(running.exchange(True, data, access=access)).status == 200
    assert running.passed_on == before + 1


def test_a_client_that_disconnects_is_counted_and_its_image_is_not_generated(
    running: Application, image: str, recorded: list[tuple[str, int, str | None]]
):
    batcher = running.repository.find("grey", None).batcher
    futures = []
    submit = batcher.submit

    def keep(*arguments: Any) -> Any:
        futures.append(submit(*arguments))
        return futures[-1]

    async def scenario() -> None:
        protocol = running.protocol(True)
        protocol.data_received(message("GET", image, close=False))
        assert running.shutdown.in_flight == 1
        protocol.connection_lost(None)
        await until(lambda: recorded)
        assert not transport_of(protocol).written

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batcher, "submit", keep)
        running.runner.run(scenario())
    assert recorded == [("GET", 499, None)]
    assert isinstance(futures[0].exception(), ClientGone)
    assert running.shutdown.in_flight == 0


def test_requests_that_draining_does_not_finish_get_503(
    running: Application, image: str, recorded: list[tuple[str, int, str | None]], monkeypatch: pytest.MonkeyPatch
):
    """uvicorn cancels its tasks at the end of its timeout."""

    async def scenario() -> bytes:
        future = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(running.repository.find("grey", None).batcher, "submit", lambda *_: future)
        protocol = running.protocol(True)
        protocol.data_received(message("GET", image, close=False))
        protocol.shutdown()
        assert running.shutdown.in_flight == len(protocol.tasks) == 1
        for task in protocol.tasks:
            task.cancel(msg="timeout")
        await asyncio.wait_for(transport_of(protocol).closed.wait(), 20)
        assert running.shutdown.in_flight == len(protocol.tasks) == 0
        assert future.cancelled()
        protocol.connection_lost(None)
        return bytes(transport_of(protocol).written)

    written = running.runner.run(scenario())
    answer = parse_answer(written)
    assert (answer.status, answer.header(b"connection"), answer.header(b"retry-after")) == (503, b"close", b"5")
    assert written.count(b"connection: close") == 1
    assert recorded == [("GET", 503, "draining")]


def test_requests_after_the_signal_are_left_to_the_application(
    running: Application, image: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(running.shutdown, "draining", True)
    before = running.passed_on
    assert parse_answer(running.exchange(True, message("GET", image))).status == 503
    assert running.passed_on == before + 1


@pytest.mark.parametrize("is_immediate", [True, False])
def test_an_unexpected_error_is_500_and_logged(
    running: Application, image: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, is_immediate: bool
):
    def fail(*_: object) -> Any:
        if is_immediate:
            raise RuntimeError("odd")
        future = asyncio.get_running_loop().create_future()
        future.set_exception(RuntimeError("odd"))
        return future

    monkeypatch.setattr(running.repository.find("grey", None).batcher, "submit", fail)
    fast, routed = (running.exchange(is_fast, message("GET", image)) for is_fast in (True, False))
    assert fast == routed
    assert parse_answer(fast).status == 500
    assert len([record for record in caplog.records if record.exc_info]) == 2
    assert running.shutdown.in_flight == 0


def test_the_application_answers_if_the_fast_path_fails(
    running: Application, image: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(running.resources, "match", fail)
    assert parse_answer(running.exchange(True, message("GET", image))).status == 200
    assert [record.exc_info is not None for record in caplog.records] == [True]

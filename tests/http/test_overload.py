"""Overload: 503 while generators load, 504, 408, 429, and cancelled work of clients that have disconnected."""

import contextlib
import json
import re
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from tests.http.test_metrics import value
from tests.http.test_problems import check
from tests.support import generators
from tests.support.servers import Server, serving, wait_until

TRIPS = 200_000  # iterations of an idle loop: some tenths of a second per batch
LATE_TRIPS = 6 * TRIPS  # about a second


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a slow and a fast generator, and a queue of one batch."""
    directory = tmp_path_factory.mktemp("busy")
    generators.write(directory, "slow", 1, idle_trips=TRIPS)
    generators.write(directory, "fast", 1)
    with serving(directory, max_queue=8, max_batch=8) as running:
        yield running


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[httpx.Response]]]:
    """A server whose timeout is shorter than a batch, with 12 images per minute, and its responses while it loads."""
    directory = tmp_path_factory.mktemp("late")
    generators.write(directory, "slow", 1, idle_trips=LATE_TRIPS)
    loading: list[httpx.Response] = []

    def send_early(url: str) -> None:
        loading.extend(httpx.get(url + path) for path in ("/livez", "/metrics", "/", "/readyz", "/v1/models"))

    with serving(directory, before_ready=send_early, timeout_seconds=0.3, images_per_minute=12) as running:
        yield running, loading


def test_a_server_that_loads_is_alive_but_not_ready(late: tuple[Server, list[httpx.Response]]):
    server, (live, metrics, page, *unready) = late
    assert (live.status_code, metrics.status_code, page.status_code) == (200, 200, 200)
    for answer in unready:
        check(answer, 503)
        assert answer.headers["retry-after"] == "1"
    assert server.client.get("/v1/models").status_code == 200


def test_images_after_the_deadline_are_504_and_not_charged(late: tuple[Server, list[httpx.Response]]):
    server = late[0]
    check(server.client.get(f"{server.pinned('slow')}/1.png"), 504)
    for path in ("/sample", "/v1/sample"):
        check(server.client.post(path, json={"model": "slow", "seeds": "0-9"}), 504)
    for file in ("grid.png?seeds=0-9", "walk.webp?frames=9&from=1&to=2"):
        check(server.client.get(f"{server.pinned('slow').removesuffix('/images')}/{file}"), 504)


def test_an_incomplete_body_is_408_after_the_timeout(late: tuple[Server, list[httpx.Response]]):
    host, port = late[0].url.removeprefix("http://").split(":")
    head = b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head + b"{")
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_connection_with_an_incomplete_head_is_closed_after_the_timeout(late: tuple[Server, list[httpx.Response]]):
    """A connection without a byte, one with half a head, and one with half of a second head."""
    server = late[0]
    before = value(server, "seedmint_http_requests_rejected_total", reason="slow_head")
    half = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
    with contextlib.ExitStack() as stack:
        stuck = [stack.enter_context(server.connect()) for _ in range(3)]
        for connection, start in zip(stuck, (b"", half, half + b"\r\n" + half), strict=True):
            connection.sendall(start)
        received = [b"".join(iter(partial(connection.recv, 1000), b"")) for connection in stuck]
    assert [re.findall(rb"HTTP/1\.1 (\d+) ", answers) for answers in received] == [[], [], [b"200"]]
    assert value(server, "seedmint_http_requests_rejected_total", reason="slow_head") >= before + 3


@pytest.mark.fault("more requests than the queue holds")
def test_requests_beyond_the_queue_are_429_and_others_are_served(busy: Server):
    path = busy.pinned("slow")
    with ThreadPoolExecutor(40) as crowd, httpx.Client(base_url=busy.url, timeout=30) as client:
        answers = list(crowd.map(lambda seed: client.get(f"{path}/{seed}.png"), range(40)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}
    assert value(busy, "seedmint_http_requests_rejected_total", reason="overloaded") == statuses[429]
    assert value(busy, "seedmint_queue_duration_seconds_sum", model="slow") > value(
        busy, "seedmint_inference_duration_seconds_sum", model="fast"
    )
    for answer in answers:
        if answer.status_code == 429:
            check(answer, 429)
            assert int(answer.headers["retry-after"]) >= 1


def images(server: Server) -> float:
    """Return the number of images that the slow generator has generated."""
    return value(server, "seedmint_batch_size_sum", model="slow")


def disconnects(server: Server) -> float:
    """Return the number of requests whose clients disconnected before the end of the response."""
    return value(server, "seedmint_http_requests_total", status="499")


def in_bulk(server: Server) -> float:
    """Return the number of bulk requests in flight."""
    return value(server, "seedmint_bulk_requests_in_flight", model="slow")


@pytest.mark.parametrize("file", ["", "grid.png?seeds=0-799", "walk.gif?frames=256&from=1&to=2"], ids=["bulk", "grid", "walk"])
def test_a_bulk_request_keeps_its_slot_until_its_client_disconnects(busy: Server, file: str):
    """The client disconnects before its response begins. Its images would take many seconds."""
    path = f"{busy.pinned('slow').removesuffix('/images')}/{file}" if file else "/v1/sample"
    body = b"" if file else json.dumps({"model": "slow", "seeds": "0-799"}).encode()
    headers = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    generated, before, cancelled = images(busy), disconnects(busy), value(busy, "seedmint_cancelled_images_total", model="slow")
    with busy.connect() as connection:
        connection.sendall(f"{'GET' if file else 'POST'} {path} HTTP/1.1\r\n{headers}\r\n".encode() + body)
        wait_until(lambda: in_bulk(busy) == 1)
        rejected = busy.client.request(
            "GET" if file else "POST", path, content=body, headers={"Content-Type": "application/json"}
        )
        check(rejected, 429)
        assert int(rejected.headers["retry-after"]) >= 1
    wait_until(lambda: disconnects(busy) == before + 1)
    wait_until(lambda: in_bulk(busy) == 0)
    assert busy.client.post("/v1/sample", json={"model": "slow", "seeds": "1"}).status_code == 200
    assert images(busy) - generated < 200
    assert (
        file or value(busy, "seedmint_cancelled_images_total", model="slow") > cancelled
    )  # four pieces of a bulk request wait
    assert not [line for line in busy.log if "never retrieved" in line or "Traceback" in line]

"""Overload: 503 while generators load, 504, 408, 429, and cancelled work of clients that have disconnected."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.http.test_metrics import value
from tests.http.test_problems import check
from tests.support import generators
from tests.support.servers import Server, serving, wait_until

TRIPS = 400_000  # iterations of an idle loop: some tenths of a second per batch
LATE_TRIPS = 6 * TRIPS  # about a second


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a slow and a fast generator, and a queue of one batch."""
    directory = tmp_path_factory.mktemp("busy")
    generators.write(directory, "slow", 1, idle_trips=TRIPS)
    generators.write(directory, "fast", 1)
    with serving(directory, timeout_seconds=3, max_queue=8, max_batch=8) as running:
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
    """A connection without a byte, one with half a head, and one with half of a second head. A slow connection stays open."""
    server = late[0]
    host, port = server.url.removeprefix("http://").split(":")
    before = value(server, "seedmint_http_requests_rejected_total", reason="slow_head")
    stuck = [socket.create_connection((host, int(port)), timeout=10) for _ in range(3)]
    stuck[1].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
    stuck[2].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n"):  # head and body may arrive separately
        answer += stuck[2].recv(1000)
    assert answer.startswith(b"HTTP/1.1 200 ")
    stuck[2].sendall(b"GET /livez HTTP/1.1\r\nHo")
    for _ in range(4):  # longer than the timeout
        assert server.client.get("/livez").status_code == 200
        time.sleep(0.2)
    assert [connection.recv(100) for connection in stuck] == [b""] * 3
    assert value(server, "seedmint_http_requests_rejected_total", reason="slow_head") >= before + 3
    for connection in stuck:
        connection.close()


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


def test_a_bulk_request_keeps_its_slot_while_it_is_generated(busy: Server):
    body = {"model": "slow", "seeds": "0-23"}
    with ThreadPoolExecutor(1) as other:
        running = other.submit(httpx.post, f"{busy.url}/v1/sample", json=body, timeout=30)
        wait_until(lambda: value(busy, "seedmint_bulk_requests_in_flight", model="slow") == 1)
        rejected = busy.client.post("/v1/sample", json=body)
        check(rejected, 429)
        assert int(rejected.headers["retry-after"]) >= 1
        assert running.result().status_code == 200
    assert busy.client.post("/v1/sample", json=body | {"seeds": "1"}).status_code == 200


def test_pieces_of_a_disconnected_client_are_not_generated(busy: Server):
    """The client disconnects before its response begins, while its first pieces wait for the batch of another client."""
    host, port = busy.url.removeprefix("http://").split(":")
    generated, before, cancelled = images(busy), disconnects(busy), value(busy, "seedmint_cancelled_images_total", model="slow")
    body = b'{"model": "slow", "seeds": "0-63"}'
    with ThreadPoolExecutor(1) as other:
        running = other.submit(httpx.get, f"{busy.url}{busy.pinned('slow')}/0.png", timeout=30)
        with socket.create_connection((host, int(port))) as connection:
            head = (
                f"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            wait_until(lambda: value(busy, "seedmint_bulk_requests_in_flight", model="slow") == 1)
        assert running.result().status_code == 200
    wait_until(lambda: disconnects(busy) == before + 1 and value(busy, "seedmint_bulk_requests_in_flight", model="slow") == 0)
    assert busy.client.get(f"{busy.pinned('slow')}/1.png").status_code == 200
    assert not [line for line in busy.log if "never retrieved" in line or "Traceback" in line]
    assert images(busy) <= generated + 2 + 8  # at most one piece started before the client disconnected
    assert value(busy, "seedmint_cancelled_images_total", model="slow") >= cancelled + 8


def test_images_of_disconnected_clients_are_not_generated(busy: Server):
    path = busy.pinned("slow")
    host, port = busy.url.removeprefix("http://").split(":")
    generated, before, cancelled = images(busy), disconnects(busy), value(busy, "seedmint_cancelled_images_total", model="slow")
    sockets = [socket.create_connection((host, int(port))) for _ in range(6)]
    sockets[0].sendall(f"GET {path}/0.png HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    # While the first image is generated, the other requests wait; their clients disconnect before it is complete.
    for seed, waiting in enumerate(sockets[1:], 1):
        waiting.sendall(f"GET {path}/{seed}.png HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    for waiting in sockets[1:]:
        waiting.close()
    wait_until(lambda: disconnects(busy) == before + 5)
    assert sockets[0].recv(100).startswith(b"HTTP/1.1 200 ")
    sockets[0].close()
    assert busy.client.get(f"{path}/9.png").status_code == 200
    assert images(busy) <= generated + 3  # at most one of them was in the batch of the first image
    cancelled = value(busy, "seedmint_cancelled_images_total", model="slow") - cancelled
    assert images(busy) - generated + cancelled == 7


def images(server: Server) -> float:
    """Return the number of images that the slow generator has generated."""
    return value(server, "seedmint_batch_size_sum", model="slow")


def disconnects(server: Server) -> float:
    """Return the number of requests whose clients disconnected before the end of the response."""
    return value(server, "seedmint_http_requests_total", status="499")


@pytest.mark.parametrize("file", ["grid.png?seeds=0-799", "walk.gif?frames=256&from=1&to=2"])
def test_a_composite_image_of_a_disconnected_client_is_cancelled_and_releases_its_slot(busy: Server, file: str):
    address = f"{busy.pinned('slow').removesuffix('/images')}/{file}"
    generated, before = images(busy), disconnects(busy)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(httpx.get, busy.url + address, timeout=1)
        wait_until(lambda: value(busy, "seedmint_bulk_requests_in_flight", model="slow") == 1)
        check(busy.client.get(address), 429)
        with pytest.raises(httpx.ReadTimeout):
            waiting.result()
    wait_until(lambda: disconnects(busy) == before + 1)
    wait_until(lambda: value(busy, "seedmint_bulk_requests_in_flight", model="slow") == 0)
    assert images(busy) - generated < 200


@pytest.mark.fault("readers that stop")
def test_a_client_that_does_not_read_loses_its_slot_and_its_connection(busy: Server):
    body = {"model": "fast", "seeds": "0-65535"}
    before = disconnects(busy)
    with busy.client.stream("POST", "/v1/sample", json=body) as answer:
        assert disconnects(busy) == before
        wait_until(lambda: httpx.post(f"{busy.url}/v1/sample", json=body | {"seeds": "1"}).status_code == 200)
        wait_until(lambda: disconnects(busy) > before)
        with pytest.raises(httpx.TransportError):
            answer.read()
    assert not [line for line in busy.log if "Traceback" in line or "ERROR" in line]


def test_a_slow_reader_gets_everything(busy: Server):
    """The client reads all the time, but slower than images are generated, and for longer than the deadline."""
    size = 0
    body = {"model": "fast", "seeds": "0-65535", "format": "npy"}
    started = time.monotonic()
    with busy.client.stream("POST", "/v1/sample", json=body) as answer:
        for part in answer.iter_raw(1 << 18):
            size += len(part)
            time.sleep(0.25)
    assert size == 128 + 65536 * 64
    assert time.monotonic() - started > 3.5

"""SIGTERM: requests in flight are answered, and no client can delay the shutdown."""

import contextlib
import http.client
import select
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from seedmint.service.server.graceful_shutdown import DRAIN_SECONDS
from tests.http.test_metrics import value
from tests.http.test_problems import check
from tests.support import generators
from tests.support.servers import PATIENCE, Server, serving, wait_until

ORIGIN = "https://lab.example"


@contextlib.contextmanager
def in_flight(server: Server, path: str) -> Iterator[socket.socket]:
    """Send a GET request that the server has certainly read.

    The request follows another one in the same segment of TCP. The answer to the first one has been received.
    """
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 60) as connection:
        connection.sendall(b"".join(f"GET {each} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for each in ("/livez", path)))
        assert status(connection) == 200
        yield connection


def status(connection: socket.socket) -> int:
    """Read one response, not a byte more, and return its status."""
    with connection.makefile("rb", buffering=0) as answer:
        code = int(answer.readline().split()[1])
        left = int(http.client.parse_headers(answer)["content-length"])
        while left:
            left -= len(answer.read(left))
    return code


def all_answered(connections: list[socket.socket]) -> bool:
    """Return whether an answer waits on every connection."""
    return len(select.select(connections, [], [], 0)[0]) == len(connections)


@pytest.mark.parametrize("to_workers", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.fault("SIGTERM")
def test_requests_in_flight_are_answered(tmp_path: Path, to_workers: bool):
    """24 images in batches of four, and a bulk request.

    The signal goes to the supervisor, or to all processes of the server, as from some process managers.
    """
    generators.write(tmp_path, "slow", 1, idle_trips=400_000)
    with (
        serving(tmp_path, max_batch=4, max_wait_seconds=60) as server,
        contextlib.ExitStack() as stack,
        ThreadPoolExecutor(1) as thread,
    ):
        path = server.pinned("slow")
        images = [stack.enter_context(in_flight(server, f"{path}/{seed}.png")) for seed in range(24)]
        bulk = thread.submit(httpx.post, f"{server.url}/v1/sample", json={"model": "slow", "seeds": "0-7"}, timeout=PATIENCE)
        wait_until(lambda: value(server, "seedmint_bulk_requests_in_flight") == 1)
        for worker in server.workers() if to_workers else ():
            worker.terminate()
        server.process.send_signal(signal.SIGTERM)
        assert not all_answered(images)
        assert [status(image) for image in images] == [200] * 24
        assert bulk.result().status_code == 200
        assert server.process.wait(PATIENCE) == 0
        assert not [line for line in server.log if "Traceback" in line]


@pytest.mark.fault("SIGTERM")
def test_new_requests_are_rejected_after_the_signal(tmp_path: Path):
    """While images are being generated, on new connections and on an existing one."""
    workers = 2
    generators.write(tmp_path, "slow", 1, idle_trips=200_000)  # a busy machine must make 24 images before the drain timeout
    with (
        serving(tmp_path, max_batch=1, max_wait_seconds=60, workers=workers, allowed_origins=ORIGIN) as server,
        contextlib.ExitStack() as stack,
    ):

        def fetch(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> httpx.Response:
            """Send a request on a new connection."""
            return httpx.request(method, server.url + path, headers=headers, timeout=PATIENCE, verify=False)

        path = server.pinned("slow")
        responses = [stack.enter_context(in_flight(server, f"{path}/{seed}.png")) for seed in range(24)]
        server.process.send_signal(signal.SIGTERM)
        # Any worker may accept a connection, and workers receive the signal one after another.
        wait_until(lambda: all(fetch("/readyz").status_code == 503 for _ in range(4 * workers)))
        assert check(fetch("/readyz"), 503)["reason"] == "draining"
        for _ in range(3 * workers):
            for get in (server.client.get, fetch):
                rejected = get("/v1/models")
                check(rejected, 503)
                assert rejected.headers["retry-after"] == "5"
                assert "x-request-id" in rejected.headers
        preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
        assert fetch("/v1/models", "OPTIONS", preflight).status_code == 200  # otherwise a page could not read the 503
        answer = fetch("/v1/models", headers={"Origin": ORIGIN})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (503, ORIGIN)
        assert fetch("/livez").status_code == 200
        assert value(server, "seedmint_http_requests_rejected_total", reason="draining") >= 6 * workers
        assert not all_answered(responses)
        assert [status(response) for response in responses] == [200] * 24
        assert server.process.wait(PATIENCE) == 0
        assert not [line for line in server.log if "Traceback" in line]


@pytest.mark.fault("SIGTERM")
def test_a_client_that_does_not_read_does_not_delay_the_shutdown(models: Path):
    body = b'{"model": "rgb", "seeds": "0-65535"}'
    head = f"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with serving(models, timeout_seconds=3) as server, socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = server.url.removeprefix("http://").split(":")
        stuck.connect((host, int(port)))
        stuck.sendall(head.encode() + body)
        assert stuck.recv(20).startswith(b"HTTP/1.1 200")
        server.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert server.process.wait(PATIENCE) == 0
        assert time.monotonic() - started < DRAIN_SECONDS


@pytest.mark.fault("SIGTERM")
def test_the_first_request_of_a_new_connection_is_answered_while_the_server_stops(models: Path):
    """The request arrives after the server has begun to close connections."""
    head = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(models) as server, contextlib.ExitStack() as stack:
        host, port = server.url.removeprefix("http://").split(":")
        kept_alive, new = (stack.enter_context(socket.create_connection((host, int(port)), 30)) for _ in range(2))
        kept_alive.sendall(head)
        assert kept_alive.recv(1 << 16).startswith(b"HTTP/1.1 200")
        server.process.send_signal(signal.SIGTERM)
        while kept_alive.recv(1 << 16):  # until the server closes the connection
            pass
        new.sendall(head)
        with new.makefile("rb") as answer:
            lines = answer.read().lower().splitlines()  # until the server closes the connection
        assert lines[0].startswith(b"http/1.1 503")
        assert b"connection: close" in lines
        assert server.process.wait(PATIENCE) == 0

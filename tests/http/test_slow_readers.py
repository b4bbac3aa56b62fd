"""Clients that do not read their bulk responses: other clients are served, and memory does not grow."""

import io
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest

from seedmint.service.runtime.generator import Generator, open_generator
from tests.http.test_metrics import value
from tests.http.test_problems import check
from tests.support import generators
from tests.support.servers import Server, serving, wait_until

SLOTS = 16  # by default: 1,024 images in the queue, 64 in a batch
SHARE = 64  # maximum of bulk responses that one client may have in flight
GROWN_MIB = 24
LONG = b'{"model": "grey", "seeds": "0-999999", "format": "npy"}'  # 64 MB


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("slow-readers")
    generators.write(directory, "grey", 1)
    return directory


@pytest.fixture(scope="module")
def grey(directory: Path) -> Generator:
    return open_generator(directory / "grey.onnx")


@pytest.fixture
def server(directory: Path) -> Iterator[Server]:
    with serving(directory, max_seeds=1_000_000, timeout_seconds=300) as running:
        yield running


def stuck(server: Server, address: str) -> socket.socket:
    """Return a connection from an address of this machine that reads only the beginning of a response of 64 MB."""
    return wait_until(lambda: _connect(server, address))


def _connect(server: Server, address: str) -> socket.socket | None:
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.bind((address, 0))
    connection.connect((host, int(port)))
    head = f"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(LONG)}\r\n\r\n"
    connection.sendall(head.encode() + LONG)
    if connection.recv(12) == b"HTTP/1.1 200":
        return connection
    connection.close()  # earlier ones are still being generated
    return None


def all_images(server: Server, generator: Generator) -> None:
    """Request 1,024 images for another client."""
    body = {"model": "grey", "seeds": "0-1023", "format": "npy"}
    answer = wait_until(lambda: next((a for a in [server.client.post("/v1/sample", json=body)] if a.status_code == 200), None))
    assert int(answer.headers["content-length"]) == len(answer.content)
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), generator.generate(np.arange(1024)))


@pytest.mark.fault("slow readers of bulk responses")
def test_slow_readers_do_not_block_the_bulk_responses_of_others(server: Server, grey: Generator):
    all_images(server, grey)
    before = server.memory()
    with ExitStack() as held:
        for _ in range(SHARE // SLOTS):
            for _ in range(SLOTS):
                held.enter_context(stuck(server, "127.0.0.2"))
            all_images(server, grey)
        wait_until(lambda: value(server, "seedmint_bulk_requests_in_flight", model="grey") == SHARE)  # all are in flight
        assert server.memory() - before < GROWN_MIB
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as client:
            refused = client.post(f"{server.url}/v1/sample", content=LONG, headers={"Content-Type": "application/json"})
        check(refused, 429)
    wait_until(lambda: value(server, "seedmint_bulk_requests_in_flight", model="grey") == 0)
    assert server.memory() - before < GROWN_MIB

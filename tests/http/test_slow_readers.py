"""Readers who take bulk answers slowly, or not at all: others are served, and memory stays."""

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

PLACES = 16  # by default: 1,024 images in the queue, 64 in a run
SHARE = 64  # answers that one client may have waiting
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
    """A connection from an address of this machine that is answered 64 MB, and takes no more than the beginning."""
    return wait_until(lambda: _asking(server, address))


def _asking(server: Server, address: str) -> socket.socket | None:
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
    connection.close()  # those before it are still being made
    return None


def all_images(server: Server, generator: Generator) -> None:
    """1,024 images for somebody else."""
    body = {"model": "grey", "seeds": "0-1023", "format": "npy"}
    answer = wait_until(lambda: next((a for a in [server.client.post("/v1/sample", json=body)] if a.status_code == 200), None))
    assert int(answer.headers["content-length"]) == len(answer.content)
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), generator.generate(np.arange(1024)))


@pytest.mark.fault("slow readers of bulk answers")
def test_slow_readers_keep_nobody_from_bulk_answers(server: Server, grey: Generator):
    all_images(server, grey)
    before = server.memory()
    with ExitStack() as held:
        for _ in range(SHARE // PLACES):
            for _ in range(PLACES):
                held.enter_context(stuck(server, "127.0.0.2"))
            all_images(server, grey)
        assert value(server, "seedmint_bulk_requests_in_flight", model="grey") == SHARE  # they are all still there
        assert server.memory() - before < GROWN_MIB
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as client:
            refused = client.post(f"{server.url}/v1/sample", content=LONG, headers={"Content-Type": "application/json"})
        check(refused, 429)
    wait_until(lambda: value(server, "seedmint_bulk_requests_in_flight", model="grey") == 0)
    assert server.memory() - before < GROWN_MIB

"""Connections with pipelined requests, with a single request, and with clients that disconnect or do not read."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.test_metrics import value
from tests.support.servers import PATIENCE, Server, serving, wait_until


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def request(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def test_pipelined_requests_are_answered_in_order(server: Server):
    images = server.pinned("rgb")
    paths = [f"{images}/{seed}.{form}" for seed, form in ((5, "png"), (6, "npy"), (7, "webp"), (8, "png"))]
    expected = [server.client.get(path) for path in paths]
    with server.connect() as connection:
        connection.sendall(b"".join(request(path) for path in paths[:-1]) + request(paths[-1], "Connection: close"))
        rest = read_all(connection)
    for answer in expected:
        head, _, rest = rest.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
        body, rest = rest[:length], rest[length:]
        assert head.startswith(b"HTTP/1.1 200")
        assert answer.headers["etag"].encode() in head
        assert body == answer.content
    assert rest == b""


def test_a_connection_for_one_request_is_closed_after_the_whole_response(server: Server):
    path = f"{server.pinned('rgb')}/5.png"
    content = server.client.get(path).content
    for head in (request(path, "Connection: close"), f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()):
        with server.connect() as connection:
            connection.sendall(head)
            assert read_all(connection).endswith(b"\r\n\r\n" + content)


def test_clients_that_disconnect_at_once_cause_no_error(server: Server):
    path = f"{server.pinned('rgb')}/5.png"
    lines = len(server.log)
    for _ in range(50):
        with server.connect() as connection:
            connection.sendall(request(path))
    assert server.client.get(path).status_code == 200
    assert not [line for line in server.log[lines:] if "error" in line.lower()]


@pytest.fixture(scope="module")
def impatient(models: Path) -> Iterator[Server]:
    """A server whose clients must read 256 KiB within three seconds. It has one slot for bulk requests."""
    with serving(models, timeout_seconds=3, max_queue=8, max_batch=8) as running:
        yield running


def connect_for_archive(server: Server) -> socket.socket:
    """Return a connection with a small receive buffer that has requested 4 MiB."""
    body = b'{"model": "grey", "seeds": "0-65535", "format": "npy"}'
    head = f"POST /v1/sample HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.client.base_url.port or 80))
    connection.sendall(head + body)
    return connection


@pytest.mark.slow
def test_a_client_that_reads_fast_enough_gets_the_whole_response(impatient: Server):
    """It reads four times the required rate, because client and server share one machine, and longer than the timeout.

    A kernel buffer of megabytes would be full in the middle of the response.
    """
    parts, started = [], time.monotonic()
    with connect_for_archive(impatient) as connection:
        while part := connection.recv(16 << 10):
            parts.append(part)
            ahead = started + sum(map(len, parts)) / (344 << 10) - time.monotonic()
            time.sleep(max(0.0, ahead))
    assert time.monotonic() - started > 10
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()


@pytest.mark.fault("readers that stop")
def test_a_client_that_reads_nothing_is_disconnected_and_little_is_buffered_for_it(impatient: Server):
    """It loses its slot at once, and its connection after the timeout."""
    body = {"model": "grey", "seeds": "1"}
    before = value(impatient, "seedmint_http_requests_total", status="499")
    with connect_for_archive(impatient) as connection:
        assert connection.recv(8, socket.MSG_PEEK) == b"HTTP/1.1"
        wait_until(lambda: httpx.post(f"{impatient.url}/v1/sample", json=body, verify=False).status_code == 200)
        wait_until(lambda: value(impatient, "seedmint_http_requests_total", status="499") > before)
        assert len(read_all(connection)) < 512 << 10
    assert not [line for line in impatient.log if "Traceback" in line or "ERROR" in line]

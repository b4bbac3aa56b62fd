"""What is no request, or too large a one: bounded in memory, told what is wrong, and no harm to others."""

import json
import re
import socket
import time

import pytest

from service.protocol import MOST_HEAD_BYTES
from tests.service.servers import Server

_MOST_GROWN = 32.0  # MiB


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.client.base_url.port or 80), timeout=20)


def answer_to(server: Server, *parts: bytes) -> bytes:
    with connect(server) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while part := connection.recv(1 << 16):
            received += part
    return received


def problem_of(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert int(re.search(rb"content-length: (\d+)", head)[1]) == len(body)  # type: ignore[index]
    document = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % document["status"])
    return dict(document)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * (MOST_HEAD_BYTES + 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nA: " + b"a" * (MOST_HEAD_BYTES + 1) + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 101 + b"\r\n",
    ],
    ids=["address", "header", "headers"],
)
def test_a_head_that_is_too_large_is_refused(server: Server, request_: bytes):
    assert problem_of(answer_to(server, request_))["status"] == 431
    assert server.client.get("/livez").status_code == 200


def test_what_is_no_request_is_a_problem_too(server: Server):
    assert problem_of(answer_to(server, b"\x16\x03\x01 hello\r\n\r\n"))["status"] == 400


def test_the_largest_head_that_is_allowed_is_answered(server: Server):
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: " + b"a" * (MOST_HEAD_BYTES - 200) + b"\r\n\r\n"
    assert answer_to(server, head).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"a:\r\n" * 4096),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nA: ", b"a" * 16384),
        (b"GET /", b"a" * 16384),
        (b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"a: b\r\n" * 4096),
        (b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 16384),
        (b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 400),
    ],
    ids=["headers", "header", "address", "trailers", "chunk", "pipeline"],
)
def test_what_never_ends_is_cut_off_and_keeps_no_memory(server: Server, start: bytes, rest: bytes):
    before = server.memory()
    deadline = time.monotonic() + 20
    sent = 0
    with connect(server) as connection:
        connection.settimeout(0.5)
        try:
            connection.sendall(start)
            while sent < 64 << 20 and time.monotonic() < deadline:
                connection.sendall(rest)
                sent += len(rest)
        except OSError:  # cut off, or no longer read
            pass
        assert sent < 64 << 20
        assert server.memory() - before < _MOST_GROWN
        assert server.client.get("/livez").status_code == 200
    assert server.client.get(f"{server.pinned('rgb')}/1.png").status_code == 200

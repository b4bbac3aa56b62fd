"""Invalid and too large requests: they get a problem, use little memory, and do not affect other requests."""

import json
import re
import time

import pytest

from seedmint.service.server.http_protocol import MAX_HEAD_BYTES
from tests.support.servers import Server

_MAX_GROWTH = 32.0  # MiB


def response_to(server: Server, *parts: bytes) -> bytes:
    with server.connect() as connection:
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
        b"GET /" + b"a" * (MAX_HEAD_BYTES + 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nA: " + b"a" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 101 + b"\r\n",
    ],
    ids=["url", "header", "headers"],
)
def test_a_head_that_is_too_large_is_rejected(server: Server, request_: bytes):
    assert problem_of(response_to(server, request_))["status"] == 431
    assert server.client.get("/livez").status_code == 200


def test_data_that_is_not_http_is_a_problem(server: Server):
    assert problem_of(response_to(server, b"\x16\x03\x01 hello\r\n\r\n"))["status"] == 400


def test_the_largest_head_that_is_allowed_is_answered(server: Server):
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: " + b"a" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\n"
    assert response_to(server, head).startswith(b"HTTP/1.1 200")


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
    ids=["headers", "header", "url", "trailers", "chunk", "pipeline"],
)
def test_endless_requests_are_cut_off_and_use_little_memory(server: Server, start: bytes, rest: bytes):
    before = server.memory()
    deadline = time.monotonic() + 20
    sent = 0
    with server.connect() as connection:
        connection.settimeout(0.5)
        try:
            connection.sendall(start)
            while sent < 64 << 20 and time.monotonic() < deadline:
                connection.sendall(rest)
                sent += len(rest)
        except OSError:  # the server has closed the connection, or does not read any more
            pass
        assert sent < 64 << 20
        assert server.memory() - before < _MAX_GROWTH
        assert server.client.get("/livez").status_code == 200
    assert server.client.get(f"{server.pinned('rgb')}/1.png").status_code == 200


HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 34\r\n\r\n",
        b"Content-Length: 0, 34\r\n\r\n",
        b"Content-Length: +0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding:\n chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0;\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff0\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
        b"Content-Length: 0\n\n",
        b"Host: y\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_the_end_of_a_request_is_unambiguous(server: Server, head: bytes):
    """A request whose end a proxy may see elsewhere closes the connection: no data after it is parsed as a request."""
    answer = response_to(server, b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + head + HIDDEN)
    assert answer == b"" or problem_of(answer)["status"] == 400


@pytest.mark.parametrize("request_", [b"GET /livez HTTP/1.1\r\n\r\n", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_requests_that_violate_http_1_1_are_rejected(server: Server, request_: bytes):
    assert problem_of(response_to(server, request_ + HIDDEN))["status"] == 400


@pytest.mark.parametrize("together", [True, False], ids=["together", "separately"])
@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ],
    ids=["HTTP/2", "WebSocket"],
)
def test_requests_for_another_protocol_are_answered_in_http_1_1(server: Server, upgrade: bytes, together: bool):
    """The body is never parsed as a request, and the requests after it are answered."""
    lines = len(server.log)
    head = b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + upgrade
    body = b'{"model": "grey", "seeds": "5", "format": "npy"}'
    parts = [
        head + b"Content-Length: %d\r\n\r\n" % len(HIDDEN),
        HIDDEN,
        head + b"Content-Length: %d\r\n\r\n" % len(body),
        body,
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n",
        LAST,
    ]
    with server.connect() as connection:
        for part in [b"".join(parts)] if together else parts:
            connection.sendall(part)
            time.sleep(0.05)
        received = b""
        while part := connection.recv(1 << 16):
            received += part
    assert re.findall(rb"HTTP/1\.1 (\d+) ", received) == [b"400", b"200", b"200", b"200"]
    assert b'"field": "body"' in received
    assert b"NUMPY" in received
    assert received.count(b"x-request-id: ") == 4
    assert server.log[lines:] == []


@pytest.mark.parametrize("place", ["/v1/models/{}", "/v1/models/grey/images/5.png?{}", "/v1/models/{}/images/5.png", "/{}"])
def test_a_url_cannot_add_a_response_header(server: Server, place: str):
    target = place.format("a%0d%0aEvil:%201%0d%0a%0d%0aEvil:")
    answer = response_to(server, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"vil" not in head
    assert json.loads(body)["status"] in (400, 404)

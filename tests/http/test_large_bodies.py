"""Bodies that are expensive to parse: the server answers other requests while it parses and rejects these bodies."""

import threading
import time

import httpx
import pytest

from tests.http.test_problems import check
from tests.support.servers import Server

LIMIT = 65536 * 32 + 65536
START = b'{"model": "rgb", "seeds": '


def full_body(start: bytes, item: bytes, end: bytes) -> bytes:
    """Return a body with as many items as the size limit allows."""
    return start + item * ((LIMIT - len(start) - len(end)) // len(item)) + end


BODIES = {
    "list of texts": (full_body(START + b"[", b'"",', b'""]}'), 400, "seeds"),
    "list of lists": (full_body(START + b"[", b"[],", b"[]]}"), 400, "seeds"),
    "list of seeds": (full_body(START + b"[", b"1,", b"1]}"), 413, "seeds"),
    "text of seeds": (full_body(START + b'"', b"1,", b'1"}'), 413, "seeds"),
    "text of ranges": (full_body(START + b'"', b"7-7,", b'1"}'), 413, "seeds"),
    "text of commas": (full_body(START + b'"', b",", b'"}'), 400, "seeds"),
    "text of spaces": (full_body(START + b'"1', b" ", b'x"}'), 400, "seeds"),
    "labels": (full_body(START + b'"1", "labels": [', b"0,", b"0]}"), 422, "labels"),
    "unknown fields": (b"{" + b"".join(b'"k%06d":1,' % i for i in range(LIMIT // 12 - 1)) + b'"z":1}', 400, "k000000"),
}


@pytest.mark.parametrize("path", ["/sample", "/v1/sample"])
@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.fault("bodies that are expensive to parse")
def test_other_requests_are_answered_while_an_expensive_body_is_rejected(server: Server, kind: str, path: str):
    body, status, field = BODIES[kind]
    assert LIMIT - 100_000 < len(body) <= LIMIT
    slowest = 0.0
    done = threading.Event()

    def probe() -> None:
        nonlocal slowest
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not done.is_set():
                started = time.monotonic()
                assert client.get("/livez").status_code == 200
                slowest = max(slowest, time.monotonic() - started)

    probing = threading.Thread(target=probe)
    probing.start()
    try:
        for _ in range(3):
            check(server.client.post(path, content=body, headers={"Content-Type": "application/json"}), status, field)
    finally:
        done.set()
        probing.join()
    assert slowest < 10


def test_the_longest_valid_body_is_accepted(server: Server):
    """A body of 65,536 seeds of 19 digits with labels, as json.dumps writes it."""
    first = (1 << 63) - 65536
    body = {"model": "rgb", "seeds": list(range(first, 1 << 63)), "labels": [2] * 65536, "format": "npy"}
    assert server.client.post("/v1/sample", json=body).status_code == 200

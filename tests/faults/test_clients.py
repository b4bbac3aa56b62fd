"""Slow, large and scanning clients: other clients are served, and memory does not grow."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from tests.faults.conftest import Hold
from tests.http.test_metrics import samples
from tests.http.test_problems import check
from tests.support import generators
from tests.support.memory import Memory
from tests.support.servers import PATIENCE, Server, serving, wait_until

PROBE_SECONDS = 5.0  # less than the timeout of the server
FLAT_MIB = 16

HUGE_LIST = b'{"model": "small", "seeds": [' + b"1," * 999_999 + b"1]}"
SEEDS: dict[str, tuple[bytes, int, str]] = {
    "-1": (b'{"model": "small", "seeds": [-1]}', 422, "seeds"),
    "2^63": (b'{"model": "small", "seeds": [9223372036854775808]}', 422, "seeds"),
    "2^63 as text": (b'{"model": "small", "seeds": "9223372036854775808"}', 422, "seeds"),
    "10^400": (b'{"model": "small", "seeds": [1' + b"0" * 400 + b"]}", 422, "seeds"),
    "1e3": (b'{"model": "small", "seeds": [1e3]}', 400, "seeds"),
    "NaN": (b'{"model": "small", "seeds": [NaN]}', 400, "seeds"),
    "Infinity": (b'{"model": "small", "seeds": [Infinity]}', 400, "seeds"),
    "text": (b'{"model": "small", "seeds": ["one"]}', 400, "seeds"),
    "true": (b'{"model": "small", "seeds": [true]}', 400, "seeds"),
    "list of 10^6": (HUGE_LIST, 413, "seeds"),
    "list of 10^6 lists": (HUGE_LIST.replace(b"1,", b"[],"), 413, "body"),
    "range of 10^18": (b'{"model": "small", "seeds": "0-999999999999999999"}', 413, "seeds"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("small")
    generators.write(directory, "small", 1)
    with serving(directory, timeout_seconds=8) as running:
        yield running


def _connect(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def _slowest_probe(server: Server, seconds: float) -> float:
    """Return the longest latency of probes in seconds. Each probe has its own connection."""
    slowest, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        for path in ("/livez", "/readyz"):
            began = time.monotonic()
            assert httpx.get(server.url + path, timeout=PATIENCE).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.05)
    return slowest


@pytest.mark.fault("200 slow sockets")
def test_slow_sockets_do_not_delay_other_clients(server: Server, hold: Hold):
    """Some clients send nothing, some half a head, some half a body; then each sends a byte from time to time."""
    starts = [
        b"",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{",
        b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    sockets = [_connect(server) for _ in range(200)]
    slowest = 0.0
    for repetition in range(4):
        for n, connection in enumerate(sockets):
            connection.sendall(starts[n % 4] if repetition == 0 else (b"1\r\n \r\n" if n % 4 == 3 else b" " if n % 4 else b""))
        slowest = max(slowest, _slowest_probe(server, 0.5))
    hold("longest latency of a probe", slowest, PROBE_SECONDS, "s")
    path = server.pinned("small")
    assert server.client.get(f"{path}/1.png").status_code == 200
    for connection in sockets:
        connection.close()


@pytest.mark.fault("no file descriptors are free")
def test_more_connections_than_file_descriptors(tmp_path: Path, hold: Hold):
    """All clients send half a head and stay. Connections above the limit are closed at once, the others after the timeout."""
    descriptors = 96
    generators.write(tmp_path, "small", 1)
    with serving(tmp_path, descriptors=descriptors) as server:
        path = server.pinned("small")
        server.client.close()
        (worker,) = server.workers()
        sockets = [_connect(server) for _ in range(3 * descriptors)]
        for connection in sockets:
            with suppress(OSError):  # the server may have closed the connection
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nA: ")
        began, used = time.monotonic(), _processor_seconds(worker)
        wait_until(lambda: _answers(server, "/readyz"))
        seconds = time.monotonic() - began
        hold("time until probes are answered again", seconds, 20, "s")
        hold("connections closed by the server", sum(map(_is_closed, sockets)), 2 * descriptors, at_least=True)
        hold("processor use in this time", 100 * (_processor_seconds(worker) - used) / seconds, 50, "%")
        assert _answers(server, f"{path}/1.png")
        for connection in sockets:
            connection.close()
        assert server.workers() == [worker]
        assert [line for line in server.log if "Traceback" in line] == []


def _answers(server: Server, path: str) -> bool:
    try:
        return httpx.get(server.url + path, timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _processor_seconds(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


@pytest.mark.fault("65,537 chunks of one byte")
def test_many_small_chunks(server: Server, hold: Hold):
    head = b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Memory(server) as memory, _connect(server) as connection, ThreadPoolExecutor(1) as pool:
        memory.begin()
        probing = pool.submit(_slowest_probe, server, 1.5)
        connection.sendall(head + b"1\r\n \r\n" * 65_537 + b"0\r\n\r\n")
        answer = connection.recv(1000)
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        hold("longest latency of a probe", probing.result(), PROBE_SECONDS, "s")
        hold("memory grown by", memory.grown(), FLAT_MIB, "MiB")


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
@pytest.mark.fault("a body of 60 MB")
def test_a_much_too_large_body_is_rejected(server: Server, hold: Hold, chunked: bool):
    frame = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 60000000"
    part = b" " * 60_000
    sent = b"%x\r\n%b\r\n" % (len(part), part) if chunked else part
    with Memory(server) as memory, _connect(server) as connection:
        memory.begin()
        connection.sendall(b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + frame + b"\r\n\r\n")
        try:
            for _ in range(1000):
                connection.sendall(sent)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server does not read the whole body
        encoding = "chunked" if chunked else "content-length"
        try:
            answer = connection.recv(1000)
        except ConnectionResetError:
            answer = b""  # the response was lost when the connection was reset
        assert answer[:13] in (b"", b"HTTP/1.1 413 "), answer
        hold(f"{encoding}: longest latency of a later probe", _slowest_probe(server, 0.5), PROBE_SECONDS, "s")
        hold(f"{encoding}: memory grown by", memory.grown(), FLAT_MIB, "MiB")
    assert [line for line in server.log if "Traceback" in line] == []


@pytest.mark.parametrize("kind", SEEDS)
@pytest.mark.fault("invalid seeds")
def test_invalid_seeds_are_rejected(server: Server, hold: Hold, kind: str):
    body, status, field = SEEDS[kind]
    with Memory(server) as memory:
        memory.begin()
        for path in ("/sample", "/v1/sample"):
            answer = server.client.post(path, content=body, headers={"Content-Type": "application/json"})
            check(answer, status, field)
        if len(body) > 1_000_000:
            hold(f"{kind}: memory grown by", memory.grown(), 4 * FLAT_MIB, "MiB")


@pytest.mark.parametrize("form", ["-1", "9223372036854775808", "1e3", "NaN", "one", "0x1"])
@pytest.mark.fault("invalid seeds")
def test_invalid_seeds_in_urls_are_rejected(server: Server, form: str):
    answer = server.client.get(f"{server.pinned('small')}/{form}.png")
    assert answer.status_code == (422 if form.isdecimal() else 400), answer.text


@pytest.mark.slow
@pytest.mark.fault("10^5 paths of a scanner")
def test_a_scanner_adds_no_metric_series(server: Server, hold: Hold):
    """Each path is requested once, over 16 connections. The first tenth of the requests is a warm-up."""
    count, before = 100_000, 0

    def scan(numbers: range) -> None:
        with _connect(server) as connection, connection.makefile("rb") as reader:  # http.client would take most of the time
            for n in numbers:
                path = (
                    f"/wp-admin/{n}.php",
                    f"/v1/models/m{n}",
                    f"/{n}/../..%2f{n}?q={n}",
                    f"/v1/models/small/images/x{n}.png",
                )
                connection.sendall(f"GET {path[n % 4]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert reader.readline().split()[1] in (b"400", b"404")
                head = dict(line.lower().split(b":", 1) for line in iter(reader.readline, b"\r\n"))
                reader.read(int(head[b"content-length"]))

    samples(server)  # the request for metrics adds its own series
    with Memory(server) as memory, ThreadPoolExecutor(16) as crowd:
        for first, last in ((0, count // 10), (count // 10, count)):
            list(crowd.map(scan, (range(first + i, last, 16) for i in range(16))))
            if first == 0:
                before = len(samples(server))
                memory.begin()
        hold("metric series added by nine tenths of the requests", len(samples(server)) - before, 0)
        hold("memory grown by", memory.grown(), FLAT_MIB, "MiB")

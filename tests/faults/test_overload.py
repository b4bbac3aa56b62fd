"""Overload: accepted requests have a bounded latency, other requests are rejected at once, and memory does not grow."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import RUN_IMAGES, Hold
from tests.http.test_metrics import value
from tests.support import generators
from tests.support.load import capacity, open_loop
from tests.support.memory import Memory
from tests.support.servers import serving, wait_until

SECONDS = 60
UNLOADED_SECONDS = 8
LOAD_FACTOR = 12  # of the measured capacity, which may increase during the test
MIN_LOAD_FACTOR = 9.5
SLOW_TRIPS = 800_000  # almost a second per batch: the load generator, which shares the processors, sends few requests
WAIT_SECONDS = 1.0


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.fault("ten times overload, open loop, 60 s")
def test_ten_times_overload(tmp_path: Path, hold: Hold):
    """The latency is compared with a bound: the maximum expected wait of an accepted request, plus the latency at half load.

    The latency at half load is a 99th percentile: the rest of one batch, a whole batch, and the overhead of the machine. It is
    measured before and after the overload, and the larger value is used, because other programs may use the machine.
    """
    generators.write(tmp_path, "paced", 1, idle_trips=SLOW_TRIPS)
    with serving(tmp_path, max_batch=RUN_IMAGES, max_wait_seconds=WAIT_SECONDS) as server, Memory(server) as memory:
        path = f"{server.url}{server.pinned('paced')}"

        def url(number: int) -> str:
            return f"{path}/{number}.png"

        rate = capacity(url, 2 * RUN_IMAGES, seconds=6, may_reject=True)  # one batch runs and one is queued: batches are full
        half_load = _half_load_quantile(url, rate)
        generated = value(server, "seedmint_images_total")
        began = time.monotonic()
        with open_loop(url, LOAD_FACTOR * rate) as load:
            time.sleep(5)
            memory.begin()
            time.sleep(SECONDS - 5)
            seconds = time.monotonic() - began
        generated = value(server, "seedmint_images_total") - generated
        statuses = load.statuses()
        half_load = max(half_load, _half_load_quantile(url, rate))
        bound = WAIT_SECONDS + half_load
        accepted = statuses[200] / seconds
        load_factor = len(load.answers) / seconds / max(rate, accepted)
        hold("load, as a multiple of the capacity", load_factor, MIN_LOAD_FACTOR, at_least=True)
        hold("99th percentile at half load", half_load, bound, "s")
        hold("99th percentile of accepted requests", load.quantile(0.99), 2 * bound, "s")
        hold("99th percentile of rejected requests (429)", load.quantile(0.99, 429), 2 * bound, "s")
        hold("requests with another status", len(load.answers) - statuses[200] - statuses[429], 0, exactly=True)
        hold("capacity lost", 100 * (1 - accepted / rate), 70, "%")
        assert generated == statuses[200]
        hold("memory grown by", memory.grown(), 16, "MiB")


def _half_load_quantile(url: Callable[[int], str], rate: float) -> float:
    """Return the 99th percentile of the latency, in seconds, at half of the capacity `rate`."""
    with open_loop(url, rate / 2) as load:
        time.sleep(UNLOADED_SECONDS)
    return load.quantile(0.99)


@pytest.mark.fault("100 clients disconnect while they wait")
def test_no_images_are_generated_for_clients_that_have_disconnected(paced: Path, hold: Hold):
    clients = 100
    with serving(paced, max_batch=RUN_IMAGES, max_wait_seconds=60) as server:
        path, (host, port) = server.pinned("paced"), server.url.removeprefix("http://").split(":")
        generated, cancelled = _generated(server), value(server, "seedmint_cancelled_images_total", model="paced")
        sockets = [socket.create_connection((host, int(port))) for _ in range(clients)]
        (worker,) = server.workers()
        worker.suspend()  # otherwise a busy machine would answer some requests before their clients disconnect
        for seed, connection in enumerate(sockets):
            connection.sendall(f"GET {path}/{seed}.png HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for connection in sockets:
            connection.close()
        worker.resume()
        wait_until(lambda: value(server, "seedmint_http_requests_total", status="499") >= clients - 3 * RUN_IMAGES)
        assert server.client.get(f"{path}/{clients}.png").status_code == 200
        generated = _generated(server) - generated
        cancelled = value(server, "seedmint_cancelled_images_total", model="paced") - cancelled
        hold("images generated", generated, 3 * RUN_IMAGES + 1)
        hold("images generated or cancelled, of 101 requested images", generated + cancelled, clients + 1, exactly=True)


def _generated(server) -> float:
    return value(server, "seedmint_batch_size_sum", model="paced")

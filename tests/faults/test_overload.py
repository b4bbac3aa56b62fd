"""More asked for than can be made: what is accepted comes soon, the rest is told so at once, and nothing grows."""

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
TIMES = 12  # of the capacity measured before; ten times must be left where the machine has become faster meanwhile
LEAST_TIMES = 9.5
SLOW_TRIPS = 800_000  # nearly a second for a run, so that ten times as much is little work to ask for, on the same two cores
WAIT_SECONDS = 1.0


@pytest.mark.slow
@pytest.mark.fault("ten times overload, open loop, 60 s")
def test_ten_times_overload(tmp_path: Path, hold: Hold):
    """The bound, of a server that is not overloaded: the longest wait that it lets anybody expect, and an answer's time.

    That time is the 99th percentile at half load: a run to wait for, a run, and what the machine adds. It is measured before
    and after, and the longer counts: the machine may have other work in between.
    """
    generators.write(tmp_path, "paced", 1, idle_trips=SLOW_TRIPS)
    with serving(tmp_path, max_batch=RUN_IMAGES, max_wait_seconds=WAIT_SECONDS) as server, Memory(server) as memory:
        path = f"{server.url}{server.pinned('paced')}"

        def address(number: int) -> str:
            return f"{path}/{number}.png"

        most = capacity(address, 2 * RUN_IMAGES, seconds=6)  # a run under way and one that waits: always full, never refused
        unloaded = _half_loaded(address, most)
        made = value(server, "seedmint_images_total")
        began = time.monotonic()
        with open_loop(address, TIMES * most) as load:
            time.sleep(5)
            memory.begin()
            time.sleep(SECONDS - 5)
            seconds = time.monotonic() - began
        made = value(server, "seedmint_images_total") - made
        statuses = load.statuses()
        unloaded = max(unloaded, _half_loaded(address, most))
        bound = WAIT_SECONDS + unloaded
        accepted = statuses[200] / seconds
        times = len(load.answers) / seconds / max(most, accepted)
        hold("asked for, as a multiple of what can be made", times, LEAST_TIMES, at_least=True)
        hold("99th percentile at half load", unloaded, bound, "s")
        hold("99th percentile of what was accepted", load.quantile(0.99), 2 * bound, "s")
        hold("99th percentile of what was refused (429)", load.quantile(0.99, 429), 2 * bound, "s")
        hold("requests neither accepted nor refused", len(load.answers) - statuses[200] - statuses[429], 0, exactly=True)
        hold("capacity lost, in percent", 100 * (1 - accepted / most), 70, "%")
        assert made == statuses[200]
        hold("memory grown by", memory.grown(), 16, "MiB")


def _half_loaded(address: Callable[[int], str], most: float) -> float:
    """The 99th percentile, in seconds, of a server asked for half of the images a second that it can make."""
    with open_loop(address, most / 2) as load:
        time.sleep(UNLOADED_SECONDS)
    return load.quantile(0.99)


@pytest.mark.fault("100 clients leave while they wait")
def test_nothing_is_made_for_clients_that_have_gone(paced: Path, hold: Hold):
    clients = 100
    with serving(paced, max_batch=RUN_IMAGES, max_wait_seconds=60) as server:
        path, there = server.pinned("paced"), server.url.removeprefix("http://").split(":")
        made, cancelled = _made(server), value(server, "seedmint_cancelled_images_total", model="paced")
        sockets = [socket.create_connection((there[0], int(there[1]))) for _ in range(clients)]
        for seed, one in enumerate(sockets):
            one.sendall(f"GET {path}/{seed}.png HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for one in sockets:
            one.close()
        wait_until(lambda: value(server, "seedmint_http_requests_total", status="499") >= clients - 3 * RUN_IMAGES)
        assert server.client.get(f"{path}/{clients}.png").status_code == 200
        made, cancelled = _made(server) - made, value(server, "seedmint_cancelled_images_total", model="paced") - cancelled
        hold("images made", made, 3 * RUN_IMAGES + 1)
        hold("images made or cancelled, of 101 asked for", made + cancelled, clients + 1, exactly=True)


def _made(server) -> float:
    return value(server, "seedmint_batch_size_sum", model="paced")

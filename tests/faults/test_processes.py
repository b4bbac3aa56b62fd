"""Processes that are killed or stopped under load: only requests in flight are lost, or all of them are finished."""

import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.faults.conftest import RUN_IMAGES, Hold
from tests.support.load import BROKEN, capacity, open_loop
from tests.support.servers import PATIENCE, has_ended, serving, wait_until

READY_SECONDS = 60
TRANSIT_SECONDS = 0.5  # maximum time of a request on its way to the server, which may receive the signal meanwhile


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.fault("a worker is killed (SIGKILL) under load")
def test_a_killed_worker_loses_only_its_requests_in_flight(paced: Path, hold: Hold, workers: int):
    with serving(paced, max_batch=RUN_IMAGES, workers=workers) as server:
        address = f"{server.url}{server.pinned('paced')}"
        rate = capacity(lambda n: f"{address}/{n}.png", 4 * RUN_IMAGES) / 4  # the capacity may fall while the test runs
        with open_loop(lambda n: f"{address}/{n}.png", rate) as load:
            time.sleep(1)
            victim = server.workers()[0]
            victim.kill()
            killed = time.monotonic()
            wait_until(lambda: len(server.workers()) == workers and victim.pid not in {w.pid for w in server.workers()})
            wait_until(lambda: _ready(server.url))
            seconds = time.monotonic() - killed
            time.sleep(1)
        label = f"of {workers} worker{'s' * (workers > 1)}"
        hold(f"{label}: ready again after", seconds, READY_SECONDS, "s")
        lost = [answer for answer in load.answers if answer.status != 200]
        assert {answer.status for answer in lost} <= {BROKEN}
        hold(f"{label}: later requests lost", sum(answer.due > killed for answer in lost), 0, exactly=True)
        hold(f"{label}: requests in flight lost", len(lost), 2 * RUN_IMAGES)
        hold(f"{label}: longest latency of the other requests", load.quantile(1.0), READY_SECONDS, "s")


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.fault("SIGTERM under load")
def test_a_stopping_server_finishes_its_requests_in_flight(paced: Path, hold: Hold):
    with serving(paced, max_batch=RUN_IMAGES) as server:
        address = f"{server.url}{server.pinned('paced')}"
        rate = capacity(lambda n: f"{address}/{n}.png", 4 * RUN_IMAGES) / 4  # the capacity may fall while the test runs
        with open_loop(lambda n: f"{address}/{n}.png", rate) as load:
            time.sleep(1)
            stopped = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            status = server.process.wait(PATIENCE)
            hold("ended after", time.monotonic() - stopped, 20, "s")
        hold("exit status", status, 0, exactly=True)
        earlier = [answer for answer in load.answers if answer.due < stopped]
        accepted = [answer for answer in earlier if answer.due < stopped - TRANSIT_SECONDS]
        lost = sum(a.status == BROKEN for a in earlier) + sum(a.status == 503 for a in accepted)
        hold("requests in flight lost", lost, 0, exactly=True)
        assert {answer.status for answer in load.answers} <= {200, 503, BROKEN}


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.fault("the supervisor is killed (SIGKILL)")
def test_no_worker_keeps_the_port_of_a_killed_supervisor(models: Path, hold: Hold):
    workers = 2
    with serving(models, workers=workers) as server:
        pair = server.workers()
        assert len(pair) == workers
        killed = time.monotonic()
        server.process.kill()
        wait_until(lambda: all(has_ended(worker) for worker in pair))
        hold("workers ended after", time.monotonic() - killed, 10, "s")
        port = server.client.base_url.port or 0
        socket.create_server(("127.0.0.1", port)).close()  # the port is free
        server.exit_status = -signal.SIGKILL

"""Processes that are killed or told to stop at half load: what was under way is lost, or finished, and nothing else."""

import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.faults.conftest import RUN_IMAGES, Hold
from tests.support.load import BROKEN, capacity, open_loop
from tests.support.servers import serving, wait_until

READY_SECONDS = 10
ON_THE_WAY_SECONDS = 0.05  # that a request may take to reach the server, which may be told to stop meanwhile


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.fault("a worker is killed (SIGKILL) at half load")
def test_a_killed_worker_loses_what_it_had_under_way_and_nothing_else(paced: Path, hold: Hold, workers: int):
    with serving(paced, max_batch=RUN_IMAGES, workers=workers) as server:
        address = f"{server.url}{server.pinned('paced')}"
        half = capacity(lambda n: f"{address}/{n}.png", 4 * RUN_IMAGES) / 2
        with open_loop(lambda n: f"{address}/{n}.png", half) as load:
            time.sleep(1)
            victim = server.workers()[0]
            victim.kill()
            killed = time.monotonic()
            wait_until(lambda: len(server.workers()) == workers and victim.pid not in {w.pid for w in server.workers()})
            wait_until(lambda: _ready(server.url))
            again = time.monotonic() - killed
            time.sleep(1)
        of = f"of {workers} worker{'s' * (workers > 1)}"
        hold(f"{of}: ready again after", again, READY_SECONDS, "s")
        lost = [answer for answer in load.answers if answer.status != 200]
        assert {answer.status for answer in lost} <= {BROKEN}
        hold(f"{of}: requests lost that came later", sum(answer.due > killed for answer in lost), 0, exactly=True)
        hold(f"{of}: requests lost that were under way", len(lost), 2 * RUN_IMAGES)
        hold(f"{of}: longest wait of the rest", load.quantile(1.0), READY_SECONDS, "s")


@pytest.mark.slow
@pytest.mark.fault("SIGTERM at half load")
def test_a_stopping_server_finishes_what_is_under_way(paced: Path, hold: Hold):
    with serving(paced, max_batch=RUN_IMAGES) as server:
        address = f"{server.url}{server.pinned('paced')}"
        half = capacity(lambda n: f"{address}/{n}.png", 4 * RUN_IMAGES) / 2
        with open_loop(lambda n: f"{address}/{n}.png", half) as load:
            time.sleep(1)
            stopped = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            status = server.process.wait(30)
            hold("ended after", time.monotonic() - stopped, 20, "s")
        hold("exit status", status, 0, exactly=True)
        earlier = [answer for answer in load.answers if answer.due < stopped]
        there = [answer for answer in earlier if answer.due < stopped - ON_THE_WAY_SECONDS]
        lost = sum(a.status == BROKEN for a in earlier) + sum(a.status == 503 for a in there)
        hold("requests lost that were under way", lost, 0, exactly=True)
        assert {answer.status for answer in load.answers} <= {200, 503, BROKEN}


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False

"""One state for all workers: generators, API keys and limits are the same in two workers, also while they change."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from seedmint.service.server.api_keys import new_key
from tests.faults.conftest import Hold
from tests.support import generators
from tests.support.servers import PATIENCE, Server, free_port, serving, wait_until

WORKERS = 2
CONNECTIONS = 16
PAUSE_SECONDS = 0.01  # of each client between two images


def _get(server: Server, path: str, key: str = "") -> tuple[int, str]:
    """Send a request on a new connection, and return the status and the Location."""
    connection = HTTPConnection("127.0.0.1", server.client.base_url.port or 80, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("location", "")
    finally:
        connection.close()


def _statuses(server: Server, path: str, key: str = "", count: int = CONNECTIONS) -> Counter[int]:
    """Send requests on several new connections, so that both workers answer some of them."""
    return Counter(_get(server, path, key)[0] for _ in range(count))


@contextmanager
def _following(server: Server, name: str, threads: int = 4) -> Iterator[list[tuple[int, str]]]:
    """Follow redirects to the current version, each step on a new connection. Collect the status and URL of each answer."""
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(PAUSE_SECONDS):
            status, url = _get(server, f"/v1/models/{name}/images/7.npy")
            answers.append((status, url))
            if url:
                answers.append((_get(server, url)[0], url))

    pool = [threading.Thread(target=follow) for _ in range(threads)]
    for thread in pool:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in pool:
            thread.join()


@pytest.mark.slow
@pytest.mark.fault("two workers, a generator is replaced")
def test_a_replaced_generator_loses_no_request(tmp_path: Path, hold: Hold):
    generators.write(tmp_path, "one", 0)
    with serving(tmp_path, workers=WORKERS) as server, _following(server, "one") as answers:
        for version in range(1, 7):
            before = server.digest("one")
            generators.write(tmp_path, "one", version)
            wait_until(lambda before=before: server.digest("one") != before)
            seen = server.digest("one")[:12]
            wait_until(lambda seen=seen: any(seen in url for _, url in answers))
        generators.put(tmp_path / "one.onnx", b"not a generator")
        server.wait_for_log("[ERROR]", "one.onnx")
    statuses = Counter(status for status, _ in answers)
    hold("requests", len(answers), 50, at_least=True)
    hold("versions seen", len({url for _, url in answers if url}), 6, at_least=True)
    hold("answers 404", statuses[404], 0, exactly=True)
    assert set(statuses) == {200, 307}
    assert sum("[ERROR]" in line for line in server.log) == 1


@pytest.mark.slow
@pytest.mark.fault("a worker starts while a bad file has replaced a good one")
def test_a_new_worker_serves_the_version_that_the_others_serve(tmp_path: Path, hold: Hold):
    generators.write(tmp_path, "one", 1)
    with serving(tmp_path, workers=WORKERS) as server:
        path = f"{server.pinned('one')}/1.png"
        generators.put(tmp_path / "one.onnx", b"not a generator")
        server.wait_for_log("[ERROR]", "one.onnx")
        victim, other = server.workers()
        victim.kill()
        server.wait_for_log("SIGKILL")
        wait_until(lambda: len(server.workers()) == WORKERS and victim not in server.workers())
        other.suspend()  # only the new worker answers
        try:
            wait_until(lambda: _get(server, "/readyz")[0] == 200)
            statuses = _statuses(server, path, count=4)
        finally:
            other.resume()
        hold("answers 200 of the new worker", statuses[200], 4, exactly=True)


@pytest.mark.fault("an edited and a wrong file of API keys")
def test_api_keys_change_in_all_workers_at_once(models: Path, tmp_path: Path, hold: Hold):
    old, old_line = new_key("old")
    new, new_line = new_key("new")
    keys = tmp_path / "keys.txt"
    keys.write_text(old_line + "\n")

    with serving(models, workers=WORKERS, api_keys_file=keys) as server:
        assert _statuses(server, "/v1/models", old) == {200: CONNECTIONS}
        keys.write_text(f"{old_line}\nnot a line\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("[ERROR] SEEDMINT_API_KEYS_FILE: ")
        server.workers()[0].kill()
        server.wait_for_log("SIGKILL")
        wait_until(lambda: len(server.workers()) == WORKERS)
        statuses = _statuses(server, "/v1/models", old)
        hold("answers 401 to a valid key after a wrong edit and a restart", statuses[401], 0, exactly=True)
        keys.write_text(new_line + "\n")
        wait_until(lambda: _statuses(server, "/v1/models", new) == {200: CONNECTIONS})
        wait_until(lambda: _statuses(server, "/v1/models", old) == {401: CONNECTIONS})
        hold("answers 200 to a removed key", _statuses(server, "/v1/models", old)[200], 0, exactly=True)
        hold("answers 401 to a new key", _statuses(server, "/v1/models", new)[401], 0, exactly=True)
        lines = [line for line in server.log if "[ERROR] SEEDMINT_API_KEYS_FILE: " in line]
        hold("log lines for a wrong file", len(lines), 2)  # of SIGHUP and of the watch
        assert not [line for line in server.log if "Traceback" in line]


@pytest.mark.fault("a wrong file of API keys at the start")
def test_wrong_api_keys_end_the_start(models: Path, tmp_path: Path):
    keys = tmp_path / "keys.txt"
    keys.write_text("not a line\n")
    command = [sys.executable, "-m", "seedmint", "serve", "--models", str(models), "--port", str(free_port())]
    done = subprocess.run(
        [*command, "--api-keys-file", str(keys)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode != 0
    assert len((done.stdout + done.stderr).strip().splitlines()) == 1


@pytest.mark.fault("limits with two workers")
def test_limits_count_over_all_workers(models: Path, hold: Hold):
    burst = 40
    with serving(models, workers=WORKERS, requests_per_second=0.001, request_burst=burst) as server:
        with ThreadPoolExecutor(4) as pool:
            statuses: Counter[int] = sum(pool.map(lambda _: _statuses(server, "/v1/models", count=25), range(4)), Counter())
        hold("requests accepted", statuses[200], burst, exactly=True)
        assert statuses == {200: burst, 429: 100 - burst}

"""`bentoml serve seedmint.service.app:Seedmint` keeps the promises of `seedmint serve`."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from tests.support.fixtures import fill
from tests.support.servers import PATIENCE, free_port, has_ended, kill, wait_until, wait_until_ok

TIMEOUT_SECONDS = 4


@dataclass
class BentoServer:
    """A server of BentoML."""

    process: subprocess.Popen[bytes]
    client: httpx.Client

    def worker(self) -> psutil.Process:
        (worker,) = psutil.Process(self.process.pid).children()
        return worker

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.client.base_url.port or 80), timeout=PATIENCE)


@contextmanager
def bentoml_serving(directory: Path) -> Iterator[BentoServer]:
    """Start a server from a directory that has modules with the names of ours."""
    project = directory / "project"
    project.mkdir()
    for name in ("models", "service", "training"):
        (project / f"{name}.py").write_text("raise RuntimeError('not a module of Seedmint')\n")
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDMINT_", "BENTOML_"))}
    environment |= {
        "SEEDMINT_MODELS": str(fill(directory)),
        "SEEDMINT_PORT": str(port),
        "BENTOML_HOME": str(directory / "home"),
    }
    environment |= {"BENTOML_DO_NOT_TRACK": "true", "SEEDMINT_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}
    environment |= {
        "SEEDMINT_TRUSTED_PROXIES": "127.0.0.1",
        "SEEDMINT_REQUESTS_PER_SECOND": "1",
        "SEEDMINT_REQUEST_BURST": "100",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bentoml", "serve", "seedmint.service.app:Seedmint"],
        env=environment,
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True) as client:
        try:
            wait_until_ok(client, "/readyz", process)
            yield BentoServer(process, client)
        finally:
            kill(process)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BentoServer]:
    with bentoml_serving(tmp_path_factory.mktemp("bentoml")) as running:
        yield running


def test_images_probes_schema_and_metrics_are_served(server: BentoServer):
    assert server.client.get("/livez").status_code == 200
    assert server.client.get("/v1/models/rgb/images/1.png").headers["content-type"] == "image/png"
    assert {route["name"] for route in server.client.get("/schema.json").json()["routes"]} == {"sample"}
    assert re.search(
        r'^seedmint_images_total\{.*format="png",model="rgb"\} 1\.0$', server.client.get("/metrics").text, re.MULTILINE
    )
    assert server.client.get("/v1/models/").json()["status"] == 404
    assert server.client.get("/docs.json").json()["status"] == 404


def test_heads_are_limited(server: BentoServer):
    with server.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000 + b"\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_idle_connections_are_closed(server: BentoServer):
    with server.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHo")
        assert connection.recv(100) == b""


def test_trusted_proxies_name_the_client(server: BentoServer):
    def is_limited() -> bool:
        return server.client.get("/v1/models", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 429

    assert any(is_limited() for _ in range(1000))  # 100 at once, and one for each second
    assert server.client.get("/v1/models", headers={"X-Forwarded-For": "192.0.2.2"}).status_code == 200


@pytest.mark.fault("the supervisor is killed (SIGKILL)")
def test_the_worker_ends_when_the_supervisor_is_killed(tmp_path: Path):
    with bentoml_serving(tmp_path) as server:
        worker = server.worker()
        server.process.kill()
        wait_until(lambda: has_ended(worker))


def test_it_stops_after_sigterm(tmp_path: Path):
    with bentoml_serving(tmp_path) as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0

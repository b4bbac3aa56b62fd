"""Real servers for the tests: `seedmint serve` in a process of its own, spoken to over loopback."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import psutil  # type: ignore[import-untyped]

_READY_SECONDS = 60.0
_Found = TypeVar("_Found")


@dataclass
class Server:
    """A running service. `log` grows while it runs."""

    url: str
    models: Path
    process: subprocess.Popen[str]
    client: httpx.Client
    log: list[str] = field(default_factory=list)

    def pinned(self, name: str) -> str:
        """The pinned path of a generator's images."""
        return str(self.client.get(f"/v1/models/{name}").json()["url"]) + "/images"

    def digest(self, name: str) -> str:
        return str(self.client.get(f"/v1/models/{name}").json().get("digest"))

    def workers(self) -> list[psutil.Process]:
        return [one for one in psutil.Process(self.process.pid).children() if one.status() != psutil.STATUS_ZOMBIE]

    def memory(self) -> float:
        """Resident memory of all processes, in MiB."""
        supervisor = psutil.Process(self.process.pid)
        return float(sum(one.memory_info().rss for one in (supervisor, *self.workers()))) / 2**20

    def wait_for_log(self, text: str, seconds: float = 20.0) -> str:
        return str(wait_until(lambda: next((line for line in self.log if text in line), None), seconds))


def wait_until(found: Callable[[], _Found], seconds: float = 20.0) -> _Found:
    """Call `found` until it gives something true, and give that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError(f"still waiting after {seconds} s")


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has exited, also if its parent has not read its exit status."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    models: Path,
    before_ready: Callable[[str], None] | None = None,
    variables: Mapping[str, str] | None = None,
    descriptors: int | None = None,
    **settings: object,
) -> Iterator[Server]:
    """`seedmint serve` on a free port, ready; stopped by SIGTERM, which must end it with status 0.

    `before_ready` is called with the URL once the server answers at all; `variables` are more of its environment;
    `descriptors` is the most files and connections that each of its processes may have.
    """
    limited = ("/bin/sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh") if descriptors else ()
    port = free_port()
    temporary = tempfile.TemporaryDirectory(prefix="seedmint-test-")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDMINT_", "BENTOML_"))}
    environment |= {"SEEDMINT_MODELS": str(models), "SEEDMINT_PORT": str(port), "SEEDMINT_WATCH_SECONDS": "0.1"}
    environment |= {"TMPDIR": temporary.name}
    environment |= {f"SEEDMINT_{name.upper()}": str(value) for name, value in settings.items()} | dict(variables or {})
    process = subprocess.Popen(
        [*limited, sys.executable, "-m", "seedmint", "serve"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    log: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=log.extend, args=(process.stdout,), daemon=True)
    reader.start()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, timeout=30) as client:
        try:
            if before_ready:
                wait_until(lambda: _answers(client, process, log, "/livez"), _READY_SECONDS)
                before_ready(url)
            wait_until(lambda: _answers(client, process, log, "/readyz"), _READY_SECONDS)
            yield Server(url, models, process, client, log)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, "".join(log)
            reader.join(10)
        finally:
            kill(process)
            temporary.cleanup()


def kill(process: subprocess.Popen[str]) -> None:
    """End a server that did not end by itself, and its workers, which have process groups of their own."""
    if process.poll() is None:
        supervisor = psutil.Process(process.pid)
        for one in (supervisor, *supervisor.children(recursive=True)):
            one.kill()
        process.wait()


def _answers(client: httpx.Client, process: subprocess.Popen[str], log: list[str], path: str) -> bool:
    assert process.poll() is None, "".join(log)
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False

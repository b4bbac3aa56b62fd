"""Real servers for the tests: `seedmint serve` in its own process, reached over the loopback interface."""

import fcntl
import inspect
import os
import random
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
from typing import Any, TypeVar

import httpx
import psutil  # type: ignore[import-untyped]

_Result = TypeVar("_Result")

# Maximum time in seconds of whatever a test waits for. A busy machine may need most of it.
PATIENCE = 150.0
# The timeouts of httpx are 5 s if a test sets none: too short for a busy machine.
_HTTPX_TIMEOUT: httpx.Timeout = inspect.signature(httpx.get).parameters["timeout"].default
_HTTPX_TIMEOUT.connect = _HTTPX_TIMEOUT.read = _HTTPX_TIMEOUT.write = _HTTPX_TIMEOUT.pool = PATIENCE


@dataclass
class Server:
    """A running server.

    Attributes:
        url: Its URL, without a final slash.
        models: Its directory of generators.
        process: The supervisor.
        client: A client for its URL.
        log: Lines of its output so far.
        exit_status: The status that the supervisor must exit with after SIGTERM. A test that kills the server sets it.
    """

    url: str
    models: Path
    process: subprocess.Popen[str]
    client: httpx.Client
    log: list[str] = field(default_factory=list)
    exit_status: int = 0

    def pinned(self, name: str) -> str:
        """Return the pinned path of the images of a generator."""
        return str(self.client.get(f"/v1/models/{name}").json()["url"]) + "/images"

    def digest(self, name: str) -> str:
        """Return the digest of a generator."""
        return str(self.client.get(f"/v1/models/{name}").json().get("digest"))

    def connect(self) -> socket.socket:
        """Return a new connection to the server."""
        return socket.create_connection(("127.0.0.1", self.client.base_url.port or 80), timeout=PATIENCE)

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that have not exited."""
        return running_children(self.process.pid)

    def memory(self) -> float:
        """Return the resident memory of all processes in MiB."""
        processes = (psutil.Process(self.process.pid), *self.workers())
        return float(sum(process.memory_info().rss for process in processes)) / 2**20

    def wait_for_log(self, *texts: str, start: int = 0, seconds: float = PATIENCE) -> str:
        """Wait for a line of output from index `start` that contains all texts, and return the line."""

        def find() -> str | None:
            return next((line for line in self.log[start:] if all(text in line for text in texts)), None)

        return str(wait_until(find, seconds))


def wait_until(call: Callable[[], _Result], seconds: float = PATIENCE) -> _Result:
    """Call a function until its result is true, and return the result.

    Args:
        call: The function.
        seconds: Maximum time.

    Raises:
        AssertionError: The result was never true.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := call():
            return result
        time.sleep(0.02)
    raise AssertionError(f"no result after {seconds} s")


def wait_until_ok(client: httpx.Client, path: str, process: subprocess.Popen[Any], log: Callable[[], str] = str) -> None:
    """Wait until a server answers a path with status 200.

    Args:
        client: A client for the server.
        path: The path.
        process: The process of the server.
        log: Returns the output of the process so far.

    Raises:
        AssertionError: The process has ended, or did not answer with 200.
    """

    def is_ok() -> bool:
        assert process.poll() is None, log()
        try:
            return client.get(path).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(is_ok)


def running_children(pid: int) -> list[psutil.Process]:
    """Return the children of a process that have not exited."""
    return [child for child in psutil.Process(pid).children() if not has_ended(child)]


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has exited, also if its parent has not read its exit status."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


_LOCKS = Path(tempfile.gettempdir()) / f"seedmint-test-ports-{os.getuid()}"
_PORTS = range(20_000, 32_000)  # Linux gives outgoing connections ports from 32768 on
_held: list[Any] = []  # the lock files of the ports of this process


def free_port() -> int:
    """Return a TCP port that nothing listens on, and that no other process of tests gets while this process runs."""
    _LOCKS.mkdir(exist_ok=True)
    while True:
        port = random.SystemRandom().choice(_PORTS)
        lock = (_LOCKS / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", port))
        except OSError:
            lock.close()
        else:
            _held.append(lock)
            return port


@contextmanager
def serving(
    models: Path,
    before_ready: Callable[[str], None] | None = None,
    variables: Mapping[str, str] | None = None,
    descriptors: int | None = None,
    **settings: object,
) -> Iterator[Server]:
    """Run `seedmint serve` on a free port, wait until it is ready, and stop it with SIGTERM.

    Args:
        models: Directory of generators.
        before_ready: Called with the URL as soon as /livez answers.
        variables: More environment variables.
        descriptors: Limit of open files and connections of each process; None for no limit.
        settings: Settings: `max_batch=8` for SEEDMINT_MAX_BATCH.

    Yields:
        The server.

    Raises:
        AssertionError: The server did not become ready, or ended with another status than `exit_status`.
    """
    limit_command = ("/bin/sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh") if descriptors else ()
    port = free_port()
    temporary = tempfile.TemporaryDirectory(prefix="seedmint-test-")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDMINT_", "BENTOML_"))}
    environment |= {"SEEDMINT_MODELS": str(models), "SEEDMINT_PORT": str(port), "SEEDMINT_WATCH_SECONDS": "0.1"}
    environment |= {"TMPDIR": temporary.name}
    environment |= {f"SEEDMINT_{name.upper()}": str(value) for name, value in settings.items()} | dict(variables or {})
    process = subprocess.Popen(
        [*limit_command, sys.executable, "-m", "seedmint", "serve"],
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
    with httpx.Client(base_url=url) as client:
        try:
            if before_ready:
                wait_until_ok(client, "/livez", process, lambda: "".join(log))
                before_ready(url)
            wait_until_ok(client, "/readyz", process, lambda: "".join(log))
            server = Server(url, models, process, client, log)
            yield server
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == server.exit_status, "".join(log)
            reader.join(30)
        finally:
            kill(process)
            temporary.cleanup()


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a server that still runs, and its workers, which are in other process groups.

    Args:
        process: The supervisor.
    """
    if process.poll() is None:
        supervisor = psutil.Process(process.pid)
        for running in (supervisor, *supervisor.children(recursive=True)):
            running.kill()
        process.wait()

"""The servers that `benchmarks/serving.py` compares: how to start each server, request one image, and measure its resources."""

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

_ROOT = Path(__file__).parent.parent
_READY_SECONDS = 30.0


@dataclass(frozen=True)
class Peer:
    """A server that answers each request with one image.

    Attributes:
        name: The name in the tables.
        needs: The modules that it imports.
        command: The command, with the placeholder PORT.
        method: The HTTP method.
        path: The path, with the placeholder SEED.
        body: The JSON body, with the placeholder SEED, or None.
        png: The PNG encoder: "pillow" or "own".
        workers: The number of processes that run the generator.
    """

    name: str
    needs: tuple[str, ...]
    command: tuple[str, ...]
    method: str
    path: str
    body: str | None = None
    png: str = "pillow"
    workers: int = 1


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.peers.{name}")


def _bento(name: str) -> tuple[str, ...]:
    target = f"benchmarks.peers.{name}"
    return (sys.executable, "-m", "bentoml", "serve", target, "--host", "127.0.0.1", "--port", "PORT")


def seedmint(path: str, workers: int = 1) -> Peer:
    """Return the Seedmint server.

    Args:
        path: The pinned path of an image.
        workers: The number of worker processes.
    """
    return Peer("seedmint", (), (sys.executable, "-m", "seedmint", "serve"), "GET", path, workers=workers)


_POST = ("POST", "/inference", "SEED")
PEERS = (
    Peer("mosec", ("mosec",), _module("mosec_server"), *_POST),
    Peer("mosec + our PNG", ("mosec",), _module("mosec_server"), *_POST, png="own"),
    Peer("LitServe", ("litserve",), _module("litserve_server"), "POST", "/predict", '{"seed": SEED}'),
    Peer("Starlette", (), _module("starlette_server"), "GET", "/SEED.png"),
    Peer("BentoML quickstart", (), _bento("quickstart:Quickstart"), "POST", "/image", '{"seed": SEED}'),
    Peer("Ray Serve", ("ray.serve",), _module("rayserve_server"), "GET", "/SEED.png"),
)
LOOP = Peer("plain loop behind a socket", (), _module("loop_server"), "POST", "/")
BARE = Peer("ASGI app in BentoML", (), _bento("bare:Bare"), "GET", "/SEED.png")


@dataclass
class Running:
    """A running server.

    Attributes:
        peer: The kind of server.
        port: The port on localhost.
        process: The main process.
        ready_seconds: Seconds from the start to the first response.
    """

    peer: Peer
    port: int
    process: subprocess.Popen[bytes]
    ready_seconds: float

    def processes(self) -> list[psutil.Process]:
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes of the server, in seconds."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def megabytes(self) -> float:
        """Return the memory (PSS) of all processes of the server, in MB."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total / 1e6


def installed(peer: Peer) -> bool:
    """Return whether the modules of a server are installed."""
    try:
        return all(importlib.util.find_spec(name) for name in peer.needs)
    except ModuleNotFoundError:
        return False


@contextlib.contextmanager
def running(peer: Peer, model: Path, probe: str, ready_seconds: float = _READY_SECONDS) -> Iterator[Running]:
    """Start a server, wait until it responds, and stop it with its child processes at the end.

    Args:
        peer: The server.
        model: The generator file.
        probe: The path that must respond, with the placeholder SEED.
        ready_seconds: Longest time until the server responds.

    Raises:
        RuntimeError: The server does not respond in time.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as models:
        (Path(models) / model.name).write_bytes(model.read_bytes())
        environment = os.environ | {
            "PEER_MODEL": str(model.resolve()),
            "PEER_PORT": str(port),
            "PEER_PNG": peer.png,
            "SEEDMINT_MODELS": models,
            "PEER_WORKERS": str(peer.workers),
            "SEEDMINT_PORT": str(port),
            "SEEDMINT_WORKERS": str(peer.workers),
            "BENTOML_HOME": home,
            "BENTOML_DO_NOT_TRACK": "true",
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
        }
        began = time.monotonic()
        command = [part.replace("PORT", str(port)) for part in peer.command]
        process = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while not _responds(f"http://127.0.0.1:{port}{probe.replace('SEED', '1')}", peer):
                if process.poll() is not None or time.monotonic() - began > ready_seconds:
                    raise RuntimeError(f"{peer.name} does not start")
                time.sleep(0.02)
            yield Running(peer, port, process, time.monotonic() - began)
        finally:
            _stop(process)


def _responds(url: str, peer: Peer) -> bool:
    body = None if peer.body is None else peer.body.replace("SEED", "1").encode()
    headers = {"Content-Type": "application/json"} if body else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5):
            return True
    except OSError as error:
        return getattr(error, "code", 0) == 304


def _stop(process: subprocess.Popen[bytes]) -> None:
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        family = [root, *root.children(recursive=True)]
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, 10)
    for running_process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            running_process.kill()
    process.wait()

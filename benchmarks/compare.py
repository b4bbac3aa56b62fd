"""The server of this checkout compared with the server of another checkout, in one run with alternating loads. Requires wrk.

    python benchmarks/compare.py OTHER [--seconds 4] [--rounds 5]

OTHER is the folder of the other checkout, with its own .venv. The program prints for each load the median rate of both servers,
and the median of the ratios of the rounds (this checkout divided by the other).
"""

import argparse
import itertools
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_LUA = Path(__file__).resolve().parent / "seeds.lua"
_MODEL = Path("models") / "mnist-paper.onnx"  # of each checkout, because the format of cards may differ
_READY_SECONDS = 60.0
_SEEDS = itertools.count(1_000_000, 10_000_000)  # first seed of each load; no image is requested twice
_NPY = '{"model": "mnist-paper", "seeds": "0-255", "format": "npy"}'
_ZIP = '{"model": "mnist-paper", "seeds": "0-255", "format": "zip"}'

# Name, connections, method, path, body, If-None-Match.
_LOADS = [
    ("one image, 1 connection", 1, "GET", "PINNED/images/SEED.png", "-", "-"),
    ("one image, 16 connections", 16, "GET", "PINNED/images/SEED.png", "-", "-"),
    ("one image, 64 connections", 64, "GET", "PINNED/images/SEED.png", "-", "-"),
    ("image with scale=2, 16 connections", 16, "GET", "PINNED/images/SEED.png?scale=2", "-", "-"),
    ("304 Not Modified, 16 connections", 16, "GET", "PINNED/images/SEED.png", "-", "*"),
    ("bulk npy of 256 images, 4 connections", 4, "POST", "/v1/sample", _NPY, "-"),
    ("bulk zip of 256 images, 4 connections", 4, "POST", "/v1/sample", _ZIP, "-"),
]


@contextmanager
def _serving(checkout: Path, models: Path) -> Iterator[tuple[int, str]]:
    """Yield the port of a server, and the pinned path of its generator."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDMINT_", "BENTOML_"))}
    environment |= {"SEEDMINT_PORT": str(port), "SEEDMINT_MODELS": str(models)}
    process = subprocess.Popen(
        [checkout / ".venv" / "bin" / "python", "-m", "seedmint", "serve"],
        cwd=checkout,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + _READY_SECONDS
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models/mnist-paper/images/0.png", method="HEAD")
                with urllib.request.urlopen(request) as response:
                    path = response.url.removeprefix(f"http://127.0.0.1:{port}")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"the server of {checkout} did not start") from None
                time.sleep(0.1)
        yield port, path.partition("/images/")[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _rate(port: int, pinned: str, load: tuple[str, int, str, str, str, str], seconds: float) -> float:
    """Return the requests per second of one load."""
    _, connections, method, path, body, etag = load
    path = path.replace("PINNED", pinned)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(_LUA), f"http://127.0.0.1:{port}", "--"]
    output = subprocess.run([*command, method, path, body, str(next(_SEEDS)), etag], capture_output=True, text=True, check=True)
    words = next(line for line in output.stdout.splitlines() if line.startswith("RESULT")).split()
    requests, duration, failed = int(words[1]), int(words[2]), int(words[5]) + int(words[6])
    if failed:
        raise RuntimeError(f"{failed} requests of the load {load[0]!r} failed")
    return requests / duration * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the server of this checkout with the server of another checkout.")
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of one load")
    parser.add_argument("--rounds", type=int, default=5, help="loads of each kind and server")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as directory:
        servers = []
        for name, checkout in (("other", arguments.other.resolve()), ("this", _ROOT)):
            models = Path(directory) / name
            models.mkdir()
            shutil.copy(checkout / _MODEL, models)
            servers.append(_serving(checkout, models))
        with servers[0] as other, servers[1] as this:
            print(f"{platform.machine()}, {os.cpu_count()} processors; {arguments.rounds} rounds of {arguments.seconds:g} s")
            print(f"{'load':<40}{'other':>10}{'this':>10}{'ratio':>8}   requests per second")
            for load in _LOADS:
                for server in (other, this):
                    _rate(*server, load, 1.0)  # warm up
                pairs = []
                for turn in range(arguments.rounds):
                    order = (other, this) if turn % 2 == 0 else (this, other)
                    rates = {server[0]: _rate(*server, load, arguments.seconds) for server in order}
                    pairs.append((rates[other[0]], rates[this[0]]))
                ratio = statistics.median(new / old for old, new in pairs)
                before, now = (statistics.median(column) for column in zip(*pairs, strict=True))
                print(f"{load[0]:<40}{before:>10,.0f}{now:>10,.0f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    main()

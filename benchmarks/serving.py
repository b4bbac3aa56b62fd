"""Throughput and latency of single images, compared with other servers.

All servers use the same generator file and one thread; wrk loads them in alternating order. This benchmark requires wrk
(`apt-get install wrk`). It skips servers that are not installed: `pip install -e '.[peers]'`.

python benchmarks/serving.py
"""

import argparse
import hashlib
import itertools
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a script: `benchmarks` is not installed

from benchmarks.bulk import bulk_table
from benchmarks.open_loop import Request, open_loop
from benchmarks.servers import BARE, PEERS, Peer, Running, installed, running, seedmint

_MODEL = Path(__file__).parent.parent / "models" / "mnist-paper.onnx"
_RESULT = Path(__file__).parent / "results" / "serving.txt"
_LUA = Path(__file__).parent / "seeds.lua"
_CONNECTIONS = (1, 16, 64)
_OPEN_RATE = 300.0  # requests per second
_SEEDS = itertools.count(1_000_000, 10_000_000)  # first seed of each load; no image is requested twice

Figures = dict[str, list[float]]


def _wrk(server: Running, connections: int, seconds: float, etag: str = "-") -> dict[str, float]:
    """Run one load: requests per second, p50 and p99 in ms, CPU time per request in µs, and the number of failures."""
    peer = server.peer
    before = server.cpu_seconds()
    load = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(_LUA), f"http://127.0.0.1:{server.port}", "--"]
    arguments = [peer.method, peer.path, peer.body or "-", str(next(_SEEDS)), etag]
    output = subprocess.run([*load, *arguments], capture_output=True, text=True, check=True).stdout
    line = next(line for line in output.splitlines() if line.startswith("RESULT"))
    requests, duration, p50, p99, *failed = (int(word) for word in line.split()[1:])
    return {
        "rate": requests / duration * 1e6,
        "p50": p50 / 1000,
        "p99": p99 / 1000,
        "cpu": (server.cpu_seconds() - before) / max(1, requests) * 1e6,
        "failed": sum(failed),
    }


def _open(server: Running, seconds: float) -> dict[str, float]:
    peer = server.peer
    first = next(_SEEDS)

    def request(number: int) -> Request:
        seed = str(first + number)
        body = None if peer.body is None else peer.body.replace("SEED", seed)
        return peer.method, f"http://127.0.0.1:{server.port}{peer.path.replace('SEED', seed)}", body

    latencies, failed = open_loop(request, _OPEN_RATE, seconds)
    cuts = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [float("nan")] * 99
    return {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000, "failed": failed}


def _starts(peer: Peer) -> bool:
    if not installed(peer):
        return False
    try:
        with running(peer, _MODEL, peer.path):
            return True
    except RuntimeError:
        return False


def _measure(peers: list[Peer], rounds: int, seconds: float) -> dict[str, Figures]:
    """Start, load and stop each server, `rounds` times in alternating order."""
    found: dict[str, Figures] = {peer.name: defaultdict(list) for peer in peers}
    for turn in range(rounds):
        for peer in peers if turn % 2 == 0 else reversed(peers):
            print(f"round {turn + 1} of {rounds}: {peer.name} ...", end=" ", file=sys.stderr, flush=True)
            figures = found[peer.name]
            with running(peer, _MODEL, peer.path) as server:
                _wrk(server, 16, 1.0)
                for connections in _CONNECTIONS:
                    for name, value in _wrk(server, connections, seconds).items():
                        figures[f"{name} {connections}"].append(value)
                for name, value in _open(server, 2 * seconds).items():
                    figures[f"{name} open"].append(value)
                figures["memory"].append(server.megabytes())
                figures["ready"].append(server.ready_seconds)
            print(f"{figures['rate 16'][-1]:,.0f} requests/s", file=sys.stderr)
    return found


def _tables(found: dict[str, Figures]) -> Iterator[str]:
    def median(name: str, figure: str) -> float:
        return statistics.median(found[name][figure])

    ours = "seedmint"
    for connections in _CONNECTIONS:
        yield f"{connections} connection{'s' if connections > 1 else ''}, closed loop"
        yield f"{'':24}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'failed':>8}{'our ratio':>12}"
        for name in found:
            rates = zip(found[ours][f"rate {connections}"], found[name][f"rate {connections}"], strict=True)
            ratios = [mine / its for mine, its in rates]
            yield (
                f"{name:24}{median(name, f'rate {connections}'):11,.0f}{median(name, f'p50 {connections}'):9.2f}"
                f"{median(name, f'p99 {connections}'):9.2f}{median(name, f'cpu {connections}'):9.0f}"
                f"{sum(found[name][f'failed {connections}']):8.0f}{statistics.median(ratios):11.2f}x"
            )
        yield ""
    yield f"open loop, {_OPEN_RATE:g} requests/s; memory of all processes; seconds from start to first response"
    yield f"{'':24}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}{'MB':>8}{'ready s':>9}"
    for name in found:
        yield (
            f"{name:24}{median(name, 'p50 open'):9.2f}{median(name, 'p99 open'):9.2f}{sum(found[name]['failed open']):8.0f}"
            f"{median(name, 'memory'):8.0f}{median(name, 'ready'):9.1f}"
        )
    yield ""


def _unchanged(path: str, rounds: int, seconds: float) -> Iterator[str]:
    """Compare 304 responses with a minimal ASGI application in BentoML."""
    ours, bare = seedmint(path.replace("SEED", "1")), BARE
    rates: dict[str, list[float]] = {ours.name: [], bare.name: []}
    with running(ours, _MODEL, path) as first, running(bare, _MODEL, bare.path) as second:
        tag = _tag(f"http://127.0.0.1:{first.port}{ours.path}")
        for _ in range(rounds + 1):
            for server in (first, second):
                rates[server.peer.name].append(_wrk(server, 16, seconds, tag)["rate"])
    ratios = [mine / its for mine, its in list(zip(*rates.values(), strict=True))[1:]]
    yield "304, 16 connections"
    for name, values in rates.items():
        yield f"{name:24}{statistics.median(values[1:]):11,.0f} requests/s"
    yield f"{'ratio':24}{statistics.median(ratios):11.2f}"
    yield ""


def _tag(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return str(answer.headers["ETag"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of one load in seconds (default 2)")
    parser.add_argument("--only", default="", help="names of servers, separated by commas")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    digest = hashlib.sha256(_MODEL.read_bytes()).hexdigest()[:12]
    path = f"/v1/models/{_MODEL.stem}@{digest}/images/SEED.png"
    only = [name.strip() for name in options.only.split(",") if name.strip()]
    peers = [seedmint(path), *(peer for peer in PEERS if not only or peer.name in only)]
    began = time.monotonic()
    available = [peer for peer in peers if _starts(peer)]
    missing = [peer.name for peer in peers if peer not in available]
    peers = available
    lines = [
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, load average "
        f"{os.getloadavg()[0]:.1f}; medians of {options.rounds} rounds of {options.seconds:g} s",
        "one PNG per request, generator 100-1200-1200-784, one worker, one thread, load generator on the same CPUs",
        *([f"skipped, because they are not installed or do not start: {', '.join(missing)}"] if missing else []),
        "",
    ]
    lines += _tables(_measure(peers, options.rounds, options.seconds))
    lines += _unchanged(path, options.rounds, options.seconds)
    lines += bulk_table(_MODEL, path)
    text = "\n".join(lines)
    print(text)
    print(f"{time.monotonic() - began:.0f} s in total", file=sys.stderr)
    if not only:
        _RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()

"""Throughput and latency of single images, compared with other servers. benchmarks/README.md explains how to read the results.

All servers use the same generator file and one thread; wrk and an open-loop client load them in alternating order. This
benchmark requires wrk (`apt-get install wrk`). It skips servers that are not installed: `pip install -e '.[peers]'`.

python benchmarks/serving.py
"""

import argparse
import hashlib
import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a script: `benchmarks` is not installed

from benchmarks.bulk import bulk_table
from benchmarks.closed_loop import SEEDS, closed_loop
from benchmarks.colour import write_colour_generator
from benchmarks.open_loop import open_loop
from benchmarks.servers import BARE, PEERS, Peer, Running, installed, running, seedmint

_MODEL = Path(__file__).parent.parent / "models" / "mnist-paper.onnx"
_RESULT = Path(__file__).parent / "results" / "serving.txt"
_NAMES = ("paper", "workers", "colour", "unchanged", "bulk")
_OURS = "seedmint"

Figures = dict[str, list[float]]


@dataclass(frozen=True)
class Scenario:
    """One generator and one number of workers.

    Attributes:
        title: Title of its tables.
        model: The generator file.
        workers: Processes that run the generator.
        connections: Numbers of connections of the closed-loop loads.
        rate: Requests per second of the open-loop load.
        leaves_out: Peers that are not measured.
    """

    title: str
    model: Path
    workers: int
    connections: tuple[int, ...]
    rate: float
    leaves_out: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The pinned path of an image, with the placeholder SEED."""
        digest = hashlib.sha256(self.model.read_bytes()).hexdigest()[:12]
        return f"/v1/models/{self.model.stem}@{digest}/images/SEED.png"


def _scenarios(directory: Path) -> dict[str, Scenario]:
    colour = write_colour_generator(directory)
    slow = ("BentoML quickstart", "Ray Serve")
    return {
        "paper": Scenario("28x28 grey, 100-1200-1200-784, one worker", _MODEL, 1, (1, 16, 64), 500.0),
        "workers": Scenario("28x28 grey, 100-1200-1200-784, two workers", _MODEL, 2, (16, 64), 1000.0, slow),
        "colour": Scenario("64x64 colour, convolutional, one worker", colour, 1, (1, 16, 64), 100.0),
    }


def _open(server: Running, rate: float, seconds: float) -> dict[str, float]:
    peer = server.peer
    first = next(SEEDS)

    def request(number: int) -> bytes:
        seed = str(first + number)
        body = (peer.body or "").replace("SEED", seed)
        lines = [f"{peer.method} {peer.path.replace('SEED', seed)} HTTP/1.1", "Host: localhost"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([*lines, "", body]).encode()

    latencies, failed = open_loop(server.port, request, rate, seconds)
    cuts = statistics.quantiles(latencies, n=1000) if len(latencies) > 1 else [float("nan")] * 999
    return {"p50": cuts[499] * 1000, "p99": cuts[989] * 1000, "p99.9": cuts[998] * 1000, "failed": failed}


def _starts(peer: Peer, model: Path) -> bool:
    if not installed(peer):
        return False
    try:
        with running(peer, model, peer.path):
            return True
    except RuntimeError:
        return False


def _measure(scenario: Scenario, peers: list[Peer], rounds: int, seconds: float) -> dict[str, Figures]:
    """Start, load and stop each server, `rounds` times in alternating order."""
    found: dict[str, Figures] = {peer.name: defaultdict(list) for peer in peers}
    for turn in range(rounds):
        for peer in peers if turn % 2 == 0 else reversed(peers):
            print(f"{scenario.title}, round {turn + 1} of {rounds}: {peer.name} ...", end=" ", file=sys.stderr, flush=True)
            figures = found[peer.name]
            with running(peer, scenario.model, peer.path) as server:
                closed_loop(server, 16, 1)
                for connections in scenario.connections:
                    for name, value in closed_loop(server, connections, seconds).items():
                        figures[f"{name} {connections}"].append(value)
                for name, value in _open(server, scenario.rate, 2 * seconds).items():
                    figures[f"{name} open"].append(value)
                figures["memory"].append(server.megabytes())
                figures["ready"].append(server.ready_seconds)
            print(f"{figures['rate 16'][-1]:,.0f} requests/s", file=sys.stderr)
    return found


def _tables(scenario: Scenario, found: dict[str, Figures]) -> Iterator[str]:
    def median(name: str, figure: str) -> float:
        return statistics.median(found[name][figure])

    yield scenario.title
    yield ""
    for connections in scenario.connections:
        yield f"{connections} connection{'s' if connections > 1 else ''}, closed loop"
        yield f"{'':20}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}{'CPU us':>9}{'failed':>8}{'our ratio':>12}"
        for name in found:
            rates = zip(found[_OURS][f"rate {connections}"], found[name][f"rate {connections}"], strict=True)
            ratios = [mine / its if its else math.inf for mine, its in rates]
            yield (
                f"{name:20}{median(name, f'rate {connections}'):11,.0f}{median(name, f'p50 {connections}'):9.2f}"
                f"{median(name, f'p99 {connections}'):9.2f}{median(name, f'p99.9 {connections}'):10.2f}"
                f"{median(name, f'cpu {connections}'):9.0f}{sum(found[name][f'failed {connections}']):8.0f}"
                f"{statistics.median(ratios):11.2f}x"
            )
        yield ""
    yield f"open loop, {scenario.rate:g} requests/s; memory of all processes; seconds from start to first response"
    yield f"{'':20}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}{'failed':>8}{'MB':>8}{'ready s':>9}"
    for name in found:
        yield (
            f"{name:20}{median(name, 'p50 open'):9.2f}{median(name, 'p99 open'):9.2f}{median(name, 'p99.9 open'):10.2f}"
            f"{sum(found[name]['failed open']):8.0f}{median(name, 'memory'):8.0f}{median(name, 'ready'):9.1f}"
        )
    yield ""


def _compare(scenario: Scenario, only: list[str], rounds: int, seconds: float) -> Iterator[str]:
    """Measure all servers of a scenario, and yield the lines of its tables."""
    others = [peer for peer in PEERS if peer.name not in scenario.leaves_out and (not only or peer.name in only)]
    peers = [seedmint(scenario.path, scenario.workers), *(replace(peer, workers=scenario.workers) for peer in others)]
    available = [peer for peer in peers if _starts(peer, scenario.model)]
    if missing := [peer.name for peer in peers if peer not in available]:
        yield f"skipped, because they are not installed or do not start: {', '.join(missing)}"
    yield from _tables(scenario, _measure(scenario, available, rounds, seconds))


def _unchanged(path: str, rounds: int, seconds: float) -> Iterator[str]:
    """Compare 304 responses with a minimal ASGI application in BentoML."""
    ours, bare = seedmint(path.replace("SEED", "1")), BARE
    rates: dict[str, list[float]] = {ours.name: [], bare.name: []}
    with running(ours, _MODEL, path) as first, running(bare, _MODEL, bare.path) as second:
        tag = _tag(f"http://127.0.0.1:{first.port}{ours.path}")
        for _ in range(rounds + 1):
            for server in (first, second):
                rates[server.peer.name].append(closed_loop(server, 16, seconds, tag)["rate"])
    ratios = [mine / its for mine, its in list(zip(*rates.values(), strict=True))[1:]]
    yield "304, 16 connections"
    for name, values in rates.items():
        yield f"{name:20}{statistics.median(values[1:]):11,.0f} requests/s"
    yield f"{'ratio':20}{statistics.median(ratios):11.2f}"
    yield ""


def _tag(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return str(answer.headers["ETag"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default 3)")
    parser.add_argument("--seconds", type=int, default=2, help="duration of one closed-loop load in seconds (default 2)")
    parser.add_argument("--only", default="", help="names of peers, separated by commas")
    parser.add_argument("--scenarios", default=",".join(_NAMES), help=f"any of {','.join(_NAMES)} (default: all)")
    parser.add_argument("--out", type=Path, help="result file (default: results/serving.txt for all scenarios and peers)")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    only = [name.strip() for name in options.only.split(",") if name.strip()]
    names = [name.strip() for name in options.scenarios.split(",")]
    if unknown := set(names) - set(_NAMES) | set(only) - {peer.name for peer in PEERS}:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    lines = [
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, load average "
        f"{os.getloadavg()[0]:.1f}; medians of {options.rounds} rounds of {options.seconds} s",
        "one PNG per request, one thread per worker, load generator on the same CPUs",
        "",
    ]
    with tempfile.TemporaryDirectory() as directory:
        scenarios = _scenarios(Path(directory))
        for name in names:
            if name in scenarios:
                lines += _compare(scenarios[name], only, options.rounds, options.seconds)
            elif name == "unchanged":
                lines += _unchanged(scenarios["paper"].path, options.rounds, options.seconds)
            else:
                lines += bulk_table(_MODEL, scenarios["paper"].path)
    text = "\n".join(lines)
    print(text)
    print(f"{time.monotonic() - began:.0f} s in total", file=sys.stderr)
    result = options.out or (_RESULT if names == list(_NAMES) and not only else None)
    if result is not None:
        result.write_text(text + "\n")


if __name__ == "__main__":
    main()

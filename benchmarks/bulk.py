"""Throughput of bulk responses, compared with plain loops without a server.

python -m benchmarks.bulk
"""

import io
import json
import os
import statistics
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.servers import LOOP, Running, running, seedmint

SEEDS = 1024
ROUNDS = 30

Times = dict[str, list[tuple[float, float]]]
"""For each task: (seconds, CPU seconds of the server or of this process) of each round."""


def bulk_table(model: Path, path: str, rounds: int = ROUNDS) -> Iterator[str]:
    """Yield the lines of a table with the throughput of bulk responses and of the plain loops, and their ratio.

    Args:
        model: The generator file.
        path: The pinned path of an image.
        rounds: The number of rounds. Each round runs every task once.
    """
    arrays, pngs = loops(model)
    with running(seedmint(path), model, path) as ours, running(LOOP, model, "/") as socket_loop:
        works: dict[str, Callable[[], None]] = {
            "npy": lambda: request_bulk(ours, model.stem, "npy"),
            "loop": arrays,
            "sent": lambda: request_bulk(socket_loop, model.stem, "npy"),
            "zip": lambda: request_bulk(ours, model.stem, "zip"),
            "pillow": pngs,
        }
        times = alternated(works, rounds, {"npy": ours, "zip": ours, "sent": socket_loop})
    yield f"{SEEDS:,} images per response, medians of {rounds} rounds; CPU time of the server, or of the loop"
    yield f"{'':42}{'images/s':>10}{'CPU ms':>8}{'loop':>10}{'CPU ms':>8}{'ratio':>7}"
    for label, mine, its in (
        ("npy / ONNX Runtime alone", "npy", "loop"),
        ("npy / ONNX Runtime and a socket", "npy", "sent"),
        ("zip / ONNX Runtime and Pillow's PNGs", "zip", "pillow"),
    ):
        speed, cpu = figures(times[mine])
        other, its_cpu = figures(times[its])
        yield f"{label:42}{speed:10,.0f}{cpu:8.1f}{other:10,.0f}{its_cpu:8.1f}{ratio(times, mine, its):7.2f}"


def loops(model: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a loop that generates arrays and a loop that writes a zip of PNGs, both without a server.

    Args:
        model: The generator file.
    """
    os.environ["PEER_MODEL"] = str(model)
    from benchmarks.peers.job import MAX_BATCH, Job

    job = Job()

    def arrays() -> None:
        for start in range(0, SEEDS, MAX_BATCH):
            job.images(list(range(start, start + MAX_BATCH)))

    def pngs() -> None:
        with zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_STORED) as file:
            for start in range(0, SEEDS, MAX_BATCH):
                for i, png in enumerate(job.pngs(list(range(start, start + MAX_BATCH)))):
                    file.writestr(f"{start + i}.png", png)

    return arrays, pngs


def alternated(works: dict[str, Callable[[], None]], rounds: int, servers: dict[str, Running]) -> Times:
    """Run all tasks in alternating order, after one warm-up round.

    Args:
        works: The tasks by name.
        rounds: The number of rounds.
        servers: The servers of tasks whose CPU time is the CPU time of a server.
    """
    times: Times = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name in works if turn % 2 else reversed(works):
            clock = servers[name].cpu_seconds if name in servers else time.process_time
            cpu, began = clock(), time.perf_counter()
            works[name]()
            seconds = time.perf_counter() - began
            if turn:
                times[name].append((seconds, clock() - cpu))
    return times


def figures(times: list[tuple[float, float]]) -> tuple[float, float]:
    """Return images per second (median) and CPU milliseconds per round.

    The CPU time is a mean, because the CPU clock of a server has a resolution of 10 ms.

    Args:
        times: Seconds and CPU seconds of each round.
    """
    seconds, cpu = zip(*times, strict=True)
    return SEEDS / statistics.median(seconds), statistics.mean(cpu) * 1000


def ratio(times: Times, mine: str, its: str) -> float:
    """Return the median speed of task `mine` relative to task `its`."""
    return statistics.median(other / own for (own, _), (other, _) in zip(times[mine], times[its], strict=True))


def request_bulk(server: Running, model: str, form: str) -> None:
    """Send one bulk request and read the response."""
    body = json.dumps({"model": model, "seeds": f"0-{SEEDS - 1}", "format": form}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/sample", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        while answer.read(1 << 16):
            pass

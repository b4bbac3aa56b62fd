"""Many images in one answer, next to the plain loops that make them without a server.

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
"""Of each work: seconds and processor seconds, its own and its server's, round by round."""


def bulk_table(model: Path, path: str, rounds: int = ROUNDS) -> Iterator[str]:
    """Lines: images a second of bulk answers, of the plain loops, and their ratio.

    Args:
        path: the pinned address of an image.
        rounds: in each, every work is done once.
    """
    arrays, pngs = loops(model)
    with running(seedmint(path), model, path) as ours, running(LOOP, model, "/") as least:
        works: dict[str, Callable[[], None]] = {
            "npy": lambda: ask(ours, model.stem, "npy"),
            "loop": arrays,
            "sent": lambda: ask(least, model.stem, "npy"),
            "zip": lambda: ask(ours, model.stem, "zip"),
            "pillow": pngs,
        }
        times = alternated(works, rounds, {"npy": ours, "zip": ours, "sent": least})
    yield f"{SEEDS:,} images in one answer, medians of {rounds} rounds; processor time of the server, of loops their own"
    yield f"{'':42}{'images/s':>10}{'CPU ms':>8}{'loop':>10}{'CPU ms':>8}{'ratio':>7}"
    for label, mine, its in (
        ("npy / ONNX Runtime alone", "npy", "loop"),
        ("npy / ONNX Runtime, written to a socket", "npy", "sent"),
        ("zip / ONNX Runtime and Pillow's PNGs", "zip", "pillow"),
    ):
        speed, cpu = figures(times[mine])
        other, its_cpu = figures(times[its])
        yield f"{label:42}{speed:10,.0f}{cpu:8.1f}{other:10,.0f}{its_cpu:8.1f}{ratio(times, mine, its):7.2f}"


def loops(model: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """What makes arrays, and what makes a zip of PNGs, without a server."""
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
    """Every work in turn, `rounds` times after one that does not count."""
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
    """Images a second, and processor time of one turn in ms. A server's time is told in hundredths of a second: a mean."""
    seconds, cpu = zip(*times, strict=True)
    return SEEDS / statistics.median(seconds), statistics.mean(cpu) * 1000


def ratio(times: Times, mine: str, its: str) -> float:
    return statistics.median(other / own for (own, _), (other, _) in zip(times[mine], times[its], strict=True))


def ask(server: Running, model: str, form: str) -> None:
    body = json.dumps({"model": model, "seeds": f"0-{SEEDS - 1}", "format": form}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/sample", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        while answer.read(1 << 16):
            pass

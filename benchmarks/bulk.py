"""Many images in one answer, next to the plain loops that make them without a server."""

import io
import json
import os
import statistics
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.servers import running, seedmint

_SEEDS = 1024
_ROUNDS = 9


def bulk_table(model: Path, path: str) -> Iterator[str]:
    """Lines: images a second of bulk answers, of the plain loops, and their ratio."""
    os.environ["PEER_MODEL"] = str(model)
    from benchmarks.peers.job import MAX_BATCH, Job

    job = Job()

    def arrays() -> None:
        for start in range(0, _SEEDS, MAX_BATCH):
            job.images(list(range(start, start + MAX_BATCH)))

    def pngs() -> None:
        with zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_STORED) as file:
            for start in range(0, _SEEDS, MAX_BATCH):
                for i, png in enumerate(job.pngs(list(range(start, start + MAX_BATCH)))):
                    file.writestr(f"{start + i}.png", png)

    with running(seedmint(path), model, path) as server:
        yield f"{_SEEDS:,} images in one answer, medians of {_ROUNDS} rounds"
        yield f"{'':24}{'images/s':>11}{'plain loop':>12}{'ratio':>8}"
        for form, name, plain in (("npy", "npy / ONNX Runtime", arrays), ("zip", "zip / + Pillow's PNGs", pngs)):
            ours, theirs = [], []
            for _ in range(_ROUNDS + 1):
                ours.append(_seconds(lambda form=form: _ask(server.port, model.stem, form)))  # type: ignore[misc]
                theirs.append(_seconds(plain))
            ratios = [its / mine for mine, its in zip(ours[1:], theirs[1:], strict=True)]
            speed, other = (_SEEDS / statistics.median(times[1:]) for times in (ours, theirs))
            yield f"{name:24}{speed:11,.0f}{other:12,.0f}{statistics.median(ratios):8.2f}"


def _ask(port: int, model: str, form: str) -> None:
    body = json.dumps({"model": model, "seeds": f"0-{_SEEDS - 1}", "format": form}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/sample", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        while answer.read(1 << 16):
            pass


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

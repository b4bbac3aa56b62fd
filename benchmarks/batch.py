"""Compares `seedmint batch run` with a plain loop of ONNX Runtime and Pillow in one process, in images per second.

python -m benchmarks.batch [generator]

The loop draws normal noise with NumPy, runs batches of 64, encodes each image with Pillow's `save`, and writes one tar with
`tarfile` (png: files; npz and npy: all images at once with `np.savez` and `np.save`). "2 loops" runs two such processes at
once, as the limit of the processor cores. Runs alternate, and the table shows medians. A job also syncs, hashes and records
its shards, and its PNGs have metadata. The first tenth of a job, in which the workers start, does not count. The files (up to 3
GB) are removed after all runs of a format, because ext4 creates files slowly where many have just been deleted.
"""

import io
import multiprocessing
import os
import platform
import statistics
import sys
import tarfile
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import onnxruntime
import PIL
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image

from seedmint.models.card import Card
from seedmint.models.directory import SHIPPED, find_generator
from seedmint.models.runtime.generator_file import checked_card, digest_of
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.engines.process_pool import run, spare_threads
from seedmint.service.batch.formats.base import ShardFormat, formats_for
from seedmint.service.batch.job import begin
from seedmint.service.batch.planning import CheckedGenerator, JobSpec, make_plan
from seedmint.service.batch.progress import BatchProgress
from seedmint.service.batch.storage.resolve import open_output

_IMAGES = 60_000  # with fewer images, the end of the job, when only one worker still works, affects the rate
_SHARD = 2_500
_BATCH = 64
_ROUNDS = 3
_MEASURE_SECONDS = 0.5  # between two measurements of memory, which take processor time


def plain_loop(path: Path, card: Card, form: ShardFormat, out: Path, count: int = _IMAGES) -> float:
    """Return the images per second of one process with one thread, from the first image to the closed file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)

    def batch(n: int) -> NDArray[np.uint8]:
        inputs: dict[str, Any] = {"z": random.standard_normal((n, card.noise.z_dim), np.float32)}
        if card.classes is not None:
            inputs["label"] = random.integers(0, len(card.classes), n)
        (images,) = session.run(None, inputs)
        return images  # type: ignore[no-any-return]

    batch(_BATCH)
    began = time.perf_counter()
    batches = (batch(min(_BATCH, count - done)) for done in range(0, count, _BATCH))
    if form in ("npz", "npy"):
        images = np.concatenate(list(batches))
        (np.savez if form == "npz" else np.save)(out / f"all.{form}", images)
    elif form == "png":
        for number, image in enumerate(image for images in batches for image in images):
            _picture(image).save(out / f"{number}.png")
    else:
        with tarfile.open(out / "all.tar", "w") as tar:
            for number, image in enumerate(image for images in batches for image in images):
                png = io.BytesIO()
                _picture(image).save(png, "PNG")
                info = tarfile.TarInfo(f"{number}.png")
                info.size = png.tell()
                png.seek(0)
                tar.addfile(info, png)
    return count / (time.perf_counter() - began)


def two_loops(path: Path, card: Card, form: ShardFormat, out: Path) -> float:
    """Return the images per second of two such processes that start together, each with half of the images."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        for number in range(2):
            (out / str(number)).mkdir()
        running = [processes.submit(plain_loop, path, card, form, out / str(number), _IMAGES // 2) for number in range(2)]
        return sum(loop.result() for loop in running)


def _picture(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


@dataclass
class Cost:
    """The cost of a job.

    Attributes:
        rate: Images per second, from a tenth of the images to the last record.
        processor: CPU time of the workers in that time, in microseconds per image.
        memory: Largest memory of a worker in MiB.
        size: Bytes of the shards per image.
    """

    rate: float
    processor: float
    memory: float
    size: float


def job(path: Path, card: Card, form: ShardFormat, workers: int, out: Path) -> Cost:
    """Run a job, and return its cost."""
    spec = JobSpec(parse_seeds(f"0-{_IMAGES - 1}"), format=form, shard_size=_SHARD)
    plan = make_plan(CheckedGenerator(digest_of(path.read_bytes()), card), spec)
    output = open_output(str(out / "job"))
    begin(output, plan)
    measured: list[tuple[float, int, float]] = []  # after a tenth of the images, and after the last record
    images = shards = 0
    largest = 0
    stop = threading.Event()

    def on_progress(event: BatchProgress) -> None:
        nonlocal images, shards
        images += event.images
        shards += event.shards
        if shards == plan.num_shards or (not measured and images >= _IMAGES / 10):
            measured.append((time.perf_counter(), images, _cpu_seconds()))

    def watch() -> None:
        nonlocal largest
        while not stop.wait(_MEASURE_SECONDS):
            for child in psutil.Process().children():
                with suppress(psutil.Error):
                    largest = max(largest, child.memory_full_info().uss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    run([path], output.url, plan, range(plan.num_shards), workers, on_progress, spare_threads(workers))
    stop.set()
    watcher.join()
    (began, first_images, cpu_before), (ended, last_images, cpu_after) = measured
    count = last_images - first_images
    size = sum(file.stat().st_size for file in (out / "job/data").rglob("*") if file.is_file())
    return Cost(count / (ended - began), (cpu_after - cpu_before) / count * 1e6, largest / 2**20, size / _IMAGES)


def _cpu_seconds() -> float:
    """Return the CPU time of the workers in seconds, including workers that have exited."""
    total = 0.0
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            total += sum(child.cpu_times()[:2])
    return total


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "mnist"
    path = find_generator(name, SHIPPED)
    card = checked_card(path.read_bytes())
    print(f"{card.name}, {_IMAGES:,} images in shards of {_SHARD:,}; medians of {_ROUNDS} alternating rounds")
    print(f"{platform.machine()}, {os.cpu_count()} cores, ONNX Runtime {onnxruntime.__version__}, Pillow {PIL.__version__}\n")
    print(f"{'format':<12} {'plain loop':>10}  {'2 loops':>16}  {'1 worker':>16}  {'2 workers':>16}", end="")
    print("  MiB a worker  processor us  bytes an image")
    for form in formats_for(card):
        rates: dict[str, list[float]] = {"loop": [], "loops": [], "1": [], "2": []}
        costs: list[Cost] = []
        with tempfile.TemporaryDirectory(prefix="seedmint-bench-") as directory:
            for _ in range(_ROUNDS):
                for kind, found in rates.items():
                    work = Path(tempfile.mkdtemp(dir=directory))
                    if kind == "loop":
                        found.append(plain_loop(path, card, form, work))
                    elif kind == "loops":
                        found.append(two_loops(path, card, form, work))
                    else:
                        cost = job(path, card, form, int(kind), work)
                        found.append(cost.rate)
                        costs.append(cost)
        loop, *others = (statistics.median(found) for found in rates.values())
        beside = "  ".join(f"{rate:>8,.0f}/s {rate / loop:5.2f}x" for rate in others)
        memory = max(cost.memory for cost in costs)
        processor = statistics.median(cost.processor for cost in costs)
        print(
            f"{form:<12} {loop:>8,.0f}/s  {beside}  {memory:>12,.0f}  {processor:>12,.0f}  {costs[0].size:>14,.0f}", flush=True
        )


if __name__ == "__main__":
    main()

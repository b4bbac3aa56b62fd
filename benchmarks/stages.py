"""Time of each stage of a batch worker in microseconds per image, for each format, and the plain loop of benchmarks.batch.

python -m benchmarks.stages [generator]

One process with one thread runs the stages one after another over one shard; the table shows medians of alternating rounds.
`noise` computes z and labels from seeds, `run` is ONNX Runtime, and `layout` is the container format around images or PNGs.
`disk` writes, syncs and renames the shard and its record; a worker does this in the background. `whole` is the whole work.
"""

import hashlib
import io
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"

import onnxruntime
from numpy.typing import NDArray

from benchmarks.batch import plain_loop
from seedmint.models.directory import SHIPPED, find_generator
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.formats import parquet, webdataset
from seedmint.service.batch.formats.base import ShardFormat, formats_for
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.job import begin
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.planning import JobSpec, make_plan
from seedmint.service.batch.png_folder import FileListing, file_name
from seedmint.service.batch.records import Record, write_record
from seedmint.service.batch.shard import make_shard, shard_writer
from seedmint.service.batch.storage.base import Output
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator, open_generator

_IMAGES = 10_000  # per shard
_ROUNDS = 5
_STAGES = ("noise", "run", "png", "layout", "hash", "disk", "whole", "loop")

Result = TypeVar("Result")
Spent = defaultdict[str, list[float]]


def measure(path: Path, generator: Generator, form: ShardFormat, out: Path, spent: Spent) -> None:
    """Run one round and append its times.

    Args:
        path: The generator file.
        generator: The generator of that file.
        form: The output format.
        out: An empty folder.
        spent: Times of each stage in microseconds per image; this function appends to them.
    """
    plan = make_plan(generator, JobSpec(parse_seeds(f"0-{_IMAGES - 1}"), format=form, shard_size=_IMAGES))
    # Each output has its own folder, because replacing files would add the time to delete them.
    for_record, for_disk, for_whole = (open_output(str(out / name)) for name in ("record", "disk", "whole"))
    for output in (for_record, for_disk, for_whole):
        begin(output, plan)
    shard = plan.shard(0)

    pieces, label_seconds = _timed(lambda: list(plan.batches(shard, plan.batch)))
    noise, noise_seconds = _timed(lambda: [generator.noise(seeds) for seeds, _ in pieces])
    spent["noise"].append(label_seconds + noise_seconds)
    inputs = [(z, labels) for z, (_, labels) in zip(noise, pieces, strict=True)]
    outputs, seconds = _timed(lambda: [generator.generate_from(z, labels) for z, labels in inputs])
    spent["run"].append(seconds)
    finished = [(seeds, labels, images) for (seeds, labels), images in zip(pieces, outputs, strict=True)]
    encoded, encoding = _timed(
        lambda: [pngs(generator, *piece, plan.truncation) for piece in finished if "png" in plan.toolchain]
    )
    spent["png"].append(encoding)
    stages: _PngFolder | _ShardFile = (
        _PngFolder(plan, encoded, pieces) if form == "png" else _ShardFile(plan, encoded, generator, finished)
    )
    record = make_shard(generator, plan, 0, for_record)
    spent["layout"].append(_timed(stages.lay_out)[1])
    spent["hash"].append(_timed(stages.hash)[1])
    spent["disk"].append(_timed(lambda: stages.write(for_disk, record))[1])
    spent["whole"].append(_timed(lambda: make_shard(generator, plan, 0, for_whole))[1])
    spent["loop"].append(1e6 / plain_loop(path, generator.card, form, out, _IMAGES))


def _timed(action: Callable[[], Result]) -> tuple[Result, float]:
    """Return the result and the time in microseconds per image."""
    began = time.perf_counter()
    result = action()
    return result, (time.perf_counter() - began) / _IMAGES * 1e6


class _PngFolder:
    """Stages of a shard of separate PNG files."""

    def __init__(self, plan: Plan, encoded: list[list[bytes]], pieces: list[tuple[NDArray[Any], NDArray[Any] | None]]) -> None:
        self._plan = plan
        self._pieces = pieces
        self._contents = [png for images in encoded for png in images]
        self._names: list[str] = []
        self._listing = FileListing()

    def lay_out(self) -> None:
        for seeds, labels in self._pieces:
            for i, seed in enumerate(seeds):
                self._names.append(file_name(self._plan, "data", int(seed), None if labels is None else int(labels[i])))

    def hash(self) -> None:
        for name, png in zip(self._names, self._contents, strict=True):
            self._listing.add(name, png)

    def write(self, output: Output, record: Record) -> None:
        with output.write_many() as add:
            for name, png in zip(self._names, self._contents, strict=True):
                add(name, png)
        write_record(output, record)


class _ShardFile:
    """Stages of a shard of one file."""

    def __init__(self, plan: Plan, encoded: list[list[bytes]], generator: Generator, pieces: list[Any]) -> None:
        self._plan = plan
        self._encoded = encoded
        self._generator = generator
        self._pieces = pieces
        self._file = _UnclosableBytesIO()

    def lay_out(self) -> None:
        encoded = iter(self._encoded)
        with (
            patch.multiple(parquet, pngs=lambda *_: next(encoded)),
            patch.multiple(webdataset, pngs=lambda *_: next(encoded)),
        ):
            writer = shard_writer(self._file, self._generator, self._plan, 0, self._plan.shard(0).count)
            for piece in self._pieces:
                writer.add(*piece)
            writer.finish()

    def hash(self) -> None:
        hashlib.sha256(self._file.getbuffer())

    def write(self, output: Output, record: Record) -> None:
        with output.write(self._plan.file_name(0)) as target:
            target.write(self._file.getbuffer())
        write_record(output, record)


class _UnclosableBytesIO(io.BytesIO):
    """Stays open when pyarrow closes it."""

    def close(self) -> None:
        pass


def main() -> None:
    path = find_generator(sys.argv[1] if len(sys.argv) > 1 else "mnist", SHIPPED)
    generator = open_generator(path, "cpu")
    print(f"{generator.name}, a shard of {_IMAGES:,}, microseconds per image; medians of {_ROUNDS} alternating rounds")
    print(f"{platform.machine()}, {os.cpu_count()} cores, ONNX Runtime {onnxruntime.__version__}\n")
    every = formats_for(generator.card)
    spent: dict[ShardFormat, Spent] = {form: defaultdict(list) for form in every}
    with tempfile.TemporaryDirectory(prefix="seedmint-bench-") as directory:  # deleted at the end, as in benchmarks.batch
        for _ in range(_ROUNDS):
            for form in every:
                measure(path, generator, form, Path(tempfile.mkdtemp(dir=directory)), spent[form])
    print("format    " + "".join(f"{stage:>8}" for stage in _STAGES))
    for form in every:
        print(f"{form:<10}" + "".join(f"{statistics.median(spent[form][stage]):>8.1f}" for stage in _STAGES))


if __name__ == "__main__":
    main()

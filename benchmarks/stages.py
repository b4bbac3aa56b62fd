"""Where a worker's time goes: microseconds an image of each stage, by format, next to the plain loop of benchmarks.batch.

python -m benchmarks.stages [generator]

One process, one thread, the stages one after another over one shard; medians of alternating rounds. `noise` is z and labels by
seed, `run` ONNX Runtime, `layout` what a format adds to images or PNGs, `disk` writing, syncing and renaming the shard and its
record, for which a worker does not wait; `whole` is all of it as a worker does it.
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
from typing import TypeVar
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"

import onnxruntime

from benchmarks.batch import plain_loop
from seedmint.models.directory import SHIPPED, find_generator
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.formats import Format, formats_for, parquet, webdataset
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.job import begin
from seedmint.service.batch.planning import make_plan
from seedmint.service.batch.png_folder import FileListing, file_name
from seedmint.service.batch.records import write_record
from seedmint.service.batch.shard import make_shard, shard_writer
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator, open_generator

_IMAGES = 10_000  # of a shard
_ROUNDS = 5
_STAGES = ("noise", "run", "png", "layout", "hash", "disk", "whole", "loop")

Answer = TypeVar("Answer")
Spent = defaultdict[str, list[float]]


def measure(path: Path, generator: Generator, form: Format, out: Path, spent: Spent) -> None:
    """Add one round, in microseconds an image, to each stage's."""
    plan = make_plan(generator.digest, generator.card, "cpu", parse_seeds(f"0-{_IMAGES - 1}"), None, 1.0, form, _IMAGES)
    # Files of an output of its own each time: to replace files is to delete some.
    for_record, for_disk, for_whole = (open_output(str(out / name)) for name in ("record", "disk", "whole"))
    for output in (for_record, for_disk, for_whole):
        begin(output, plan)
    shard = plan.shard(0)

    def timed(action: Callable[[], Answer]) -> tuple[Answer, float]:
        began = time.perf_counter()
        answer = action()
        return answer, (time.perf_counter() - began) / _IMAGES * 1e6

    pieces, labelled = timed(lambda: list(plan.batches(shard, plan.batch)))
    noise, drawn = timed(lambda: [generator.noise(seeds) for seeds, _ in pieces])
    spent["noise"].append(labelled + drawn)
    ran = [(z, labels) for z, (_, labels) in zip(noise, pieces, strict=True)]
    made, seconds = timed(lambda: [generator.generate_from(z, labels) for z, labels in ran])
    spent["run"].append(seconds)
    done = [(seeds, labels, images) for (seeds, labels), images in zip(pieces, made, strict=True)]
    encoded, encoding = timed(lambda: [pngs(generator, *piece, plan.truncation) for piece in done if "png" in plan.toolchain])
    spent["png"].append(encoding)

    if form == "png":
        contents = [png for images in encoded for png in images]

        def lay_out() -> None:
            for seeds, labels in pieces:
                for i, seed in enumerate(seeds):
                    names.append(file_name(plan, int(seed), None if labels is None else int(labels[i])))

        def hash_all() -> None:
            for name, png in zip(names, contents, strict=True):
                listing.add(name, png)

        def place() -> None:
            with for_disk.write_many() as add:
                for name, png in zip(names, contents, strict=True):
                    add(name, png)
            write_record(for_disk, record)

        names: list[str] = []
        listing = FileListing()
    else:

        def lay_out() -> None:
            coming = iter(encoded)
            with (
                patch.multiple(parquet, pngs=lambda *_: next(coming)),
                patch.multiple(webdataset, pngs=lambda *_: next(coming)),
            ):
                writer = shard_writer(file, generator, plan, shard.count)
                for piece in done:
                    writer.add(*piece)
                writer.finish()

        def hash_all() -> None:
            hashlib.sha256(file.getbuffer())

        def place() -> None:
            with for_disk.write(plan.file_name(0)) as placed:
                placed.write(file.getbuffer())
            write_record(for_disk, record)

        file = _Kept()
    record = make_shard(generator, plan, 0, for_record)
    for name, action in (("layout", lay_out), ("hash", hash_all), ("disk", place)):
        spent[name].append(timed(action)[1])
    spent["whole"].append(timed(lambda: make_shard(generator, plan, 0, for_whole))[1])
    spent["loop"].append(1e6 / plain_loop(path, generator.card, form, out, _IMAGES))


class _Kept(io.BytesIO):
    """Does not close when pyarrow does."""

    def close(self) -> None:
        pass


def main() -> None:
    path = find_generator(sys.argv[1] if len(sys.argv) > 1 else "mnist", SHIPPED)
    generator = open_generator(path, "cpu")
    print(f"{generator.name}, a shard of {_IMAGES:,}, microseconds an image; medians of {_ROUNDS} alternating rounds")
    print(f"{platform.machine()}, {os.cpu_count()} cores, ONNX Runtime {onnxruntime.__version__}\n")
    every = formats_for(generator.card)
    spent: dict[Format, Spent] = {form: defaultdict(list) for form in every}
    with tempfile.TemporaryDirectory(prefix="seedmint-bench-") as directory:  # removed at the end, as in benchmarks.batch
        for _ in range(_ROUNDS):
            for form in every:
                measure(path, generator, form, Path(tempfile.mkdtemp(dir=directory)), spent[form])
    print("format    " + "".join(f"{stage:>8}" for stage in _STAGES))
    for form in every:
        print(f"{form:<10}" + "".join(f"{statistics.median(spent[form][stage]):>8.1f}" for stage in _STAGES))


if __name__ == "__main__":
    main()

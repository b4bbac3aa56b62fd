"""Estimates a job of a billion images from the results of the other benchmarks, and writes the tables of docs/scale.md.

python -m benchmarks.batch > benchmarks/results/batch.txt
python -m benchmarks.stages > benchmarks/results/stages.txt
python -m benchmarks.objects > benchmarks/results/objects.txt
python -m benchmarks.simulation > benchmarks/results/simulation.txt
python -m benchmarks.scale
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from seedmint.models.files import write_whole
from seedmint.service.batch.storage.object_store import PART_BYTES

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
IMAGES = 10**9
SHARD = 10_000  # images
SHARDS = IMAGES // SHARD
WORKERS = (10, 100, 1000)
# Assumed, not measured.
PREFIX_PUTS = 3_500  # PUT and POST requests per second to one prefix: Amazon S3, "Best practices design patterns"
LISTED = 1_000  # names in one response of S3
REQUEST_SECONDS = 0.05  # latency of a small request
PARALLEL_READS = 16  # records that are read at the same time: service/batch/records.py
_COPIED_RESULTS = ("stages", "objects", "simulation")

_NUMBER = r"[\d,]+"
_FIGURE = rf"({_NUMBER})"


@dataclass(frozen=True)
class UploadCost:
    """CPU time of uploads.

    Attributes:
        megabyte: Milliseconds per megabyte.
        file: Milliseconds per file.
    """

    megabyte: float
    file: float


@dataclass(frozen=True)
class Format:
    """A line of benchmarks/results/batch.txt.

    Attributes:
        name: Name of the format.
        memory: MiB per worker.
        processor: CPU time in microseconds per image.
        size: Bytes per image.
    """

    name: str
    memory: float
    processor: float
    size: float

    @property
    def files(self) -> int:
        """Number of data files."""
        return IMAGES if self.name == "png" else SHARDS

    @property
    def puts(self) -> float:
        """Write requests per image: for data files, as one request or in parts, and for records."""
        file_bytes = IMAGES // self.files * self.size
        each = 1 if file_bytes < 2 * PART_BYTES else math.ceil(file_bytes / PART_BYTES) + 2
        return (self.files * each + SHARDS) / IMAGES

    def upload_time(self, cost: UploadCost) -> float:
        """Return the CPU time of the upload in microseconds per image."""
        return self.size * cost.megabyte / 1e3 + self.files / IMAGES * cost.file * 1e3

    def rate(self, cost: UploadCost) -> float:
        """Return the images per second of a worker with its own processor, including the upload."""
        return 1e6 / (self.processor + self.upload_time(cost))


def formats(text: str) -> list[Format]:
    """Return the formats from the results of benchmarks.batch."""
    line = rf"^(\w+) +{_NUMBER}/s(?: +{_NUMBER}/s +[\d.]+x){{3}} +{_FIGURE} +{_FIGURE} +{_FIGURE}$"
    rows = re.findall(line, text, re.MULTILINE)
    return [Format(name, *(float(value.replace(",", "")) for value in values)) for name, *values in rows]


def upload_cost(text: str) -> UploadCost:
    """Return the upload costs from the results of benchmarks.objects."""
    (megabyte,) = re.findall(r"^CPU time of uploads +([\d.]+) ms per MB", text, re.MULTILINE)
    (file,) = re.findall(r"^CPU time of a small file +([\d.]+) ms", text, re.MULTILINE)
    return UploadCost(float(megabyte), float(file))


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def totals(every: list[Format], cost: UploadCost) -> str:
    """Return the table of the totals of 10^9 images for each format."""
    head = ["format", "core-hours", "core-hours of uploads", "files", "TB", "MiB per worker"]
    rows = [
        [
            form.name,
            f"{IMAGES * form.processor / 3.6e9:,.0f}",
            f"{IMAGES * form.upload_time(cost) / 3.6e9:,.1f}",
            f"{form.files:,}",
            f"{IMAGES * form.size / 1e12:.2f}",
            f"{form.memory:.0f}",
        ]
        for form in every
    ]
    return table(head, rows)


def by_workers(form: Format, cost: UploadCost) -> str:
    """Return the table of one format by number of workers."""
    head = ["workers", "hours", "images/s", "MB/s to the store", "writes/s", "LIST requests", "seconds to finish"]
    rows = []
    for workers in WORKERS:
        rate = workers * form.rate(cost)
        listed = workers * 2 * 2 * -(-SHARDS // LISTED)  # records and data, at the start and at the end
        end = SHARDS / PARALLEL_READS * REQUEST_SECONDS
        rows.append(
            [
                f"{workers:,}",
                f"{IMAGES / rate / 3600:,.2f}",
                f"{rate:,.0f}",
                f"{rate * form.size / 1e6:,.1f}",
                f"{rate * form.puts:,.1f}",
                f"{listed:,}",
                f"{end:,.0f}",
            ]
        )
    return table(head, rows)


def limits(every: list[Format], cost: UploadCost) -> str:
    """Return the table of the numbers of workers at which the store or the network is the limit."""
    head = ["format", f"{PREFIX_PUTS:,} writes/s to one prefix", "network of 10 Gbit/s"]
    rows = [
        [form.name, f"{PREFIX_PUTS / (form.rate(cost) * form.puts):,.0f}", f"{1.25e9 / (form.rate(cost) * form.size):,.0f}"]
        for form in every
    ]
    return table(head, rows)


def tables() -> dict[str, str]:
    """Return all tables by name."""
    every = formats((RESULTS / "batch.txt").read_text())
    cost = upload_cost((RESULTS / "objects.txt").read_text())
    named = {form.name: form for form in every}
    found = {"totals": totals(every, cost), "limits": limits(every, cost)}
    found |= {name: by_workers(named[name], cost) for name in ("webdataset", "parquet")}
    return found | {name: f"```\n{(RESULTS / f'{name}.txt').read_text().strip()}\n```" for name in _COPIED_RESULTS}


def filled(page: str, parts: dict[str, str]) -> str:
    """Return the page with these tables. Two comments mark the place of each table."""
    for name, text in parts.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page, times = place.subn(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page)  # type: ignore[misc]
        if times != 1:
            raise ValueError(f"docs/scale.md has no comments for {name}")
    return page


def main() -> None:
    write_whole(PAGE, filled(PAGE.read_text(encoding="utf-8"), tables()).encode())


if __name__ == "__main__":
    main()

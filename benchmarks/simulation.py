"""Simulates a job with many shards whose workers die at random. Uses real plans and records, but generates no images.

python -m benchmarks.simulation [shards] [parts]

Each part of the job is a worker that lists the records, makes the missing shards of its part, and starts again when it dies:
before its shard is written, between the shard and its record, or right after the record. At the end every seed must be in
exactly one shard that was recorded once.
"""

import heapq
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, Any

from seedmint.models.directory import SHIPPED, find_generator
from seedmint.models.runtime.generator_file import checked_card, digest_of
from seedmint.models.seeds import Seeds, parse_seeds
from seedmint.service.batch.completeness import missing_shards
from seedmint.service.batch.job import begin, finish
from seedmint.service.batch.manifest import MANIFEST
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.planning import CheckedGenerator, JobSpec, make_plan
from seedmint.service.batch.records import Record, write_record

_SHARD_SIZE = 10_000
_LOSS = 0.01  # share of the shards whose worker dies
_DIGEST = "0" * 64


class Memory:
    """An output in memory that counts the writes of each file."""

    def __init__(self) -> None:
        self.url = "memory"
        self.files: dict[str, bytes] = {}
        self._folders: defaultdict[str, set[str]] = defaultdict(set)
        self.writes: Counter[str] = Counter()

    def read(self, name: str) -> bytes:
        try:
            return self.files[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return BytesIO(self.read(name))

    def stream(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        yield self.read(name)[start:stop]

    def versions(self, folder: str) -> dict[str, str]:
        return {name: str(self.writes[name]) for name in self.names(folder)}

    @contextmanager
    def write(self, name: str) -> Iterator[IO[bytes]]:
        file = BytesIO()
        yield file
        self._put(name, file.getvalue())
        self.writes[name] += 1

    @contextmanager
    def write_many(self) -> Iterator[Callable[[str, bytes], None]]:
        yield self._put

    def create(self, name: str, content: bytes) -> None:
        if name in self.files:
            raise FileExistsError(name)
        self._put(name, content)

    def _put(self, name: str, content: bytes) -> None:
        self.files[name] = content
        folder, _, last = name.rpartition("/")
        self._folders[folder].add(last)

    def names(self, folder: str) -> Iterator[str]:
        return iter(self._folders[folder])

    def walk(self, folder: str) -> Iterator[str]:
        for path, names in self._folders.items():
            if path == folder:
                yield from names
            elif path.startswith(f"{folder}/"):
                yield from (f"{path.removeprefix(f'{folder}/')}/{name}" for name in names)

    def sizes(self, folder: str) -> Iterator[tuple[str, int]]:
        return ((name, len(self.files[f"{folder}/{name}"])) for name in self.walk(folder))

    def remove(self, name: str) -> None:
        folder, _, last = name.rpartition("/")
        self._folders[folder].discard(last)
        self.files.pop(name, None)

    def size(self, name: str) -> int:
        return len(self.files[name])

    def remove_all(self) -> None:
        self._folders.clear()
        self.files.clear()

    def lock(self, shared: bool) -> AbstractContextManager[None]:
        return nullcontext()

    def prepare(self) -> None:
        """Do nothing."""

    def clean(self) -> None:
        """Do nothing."""

    def free(self) -> int | None:
        return None


@dataclass
class Outcome:
    """The result of a simulated job.

    Attributes:
        output: Its output.
        plan: Its plan.
        made: How often each shard was made.
        losses: Workers that died, by step.
        listings: Number of listings of records and data.
        listing_seconds: Time of all listings.
        finish_seconds: Time to read all records and to write the manifest.
    """

    output: Memory
    plan: Plan
    made: Counter[int] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    listings: int = 0
    listing_seconds: float = 0.0
    finish_seconds: float = 0.0


def simulate(
    shards: int, parts: int, loss: float = _LOSS, seed: int = 0, names: Sequence[str] = ("mnist",), **options: Any
) -> Outcome:
    """Simulate a job.

    Args:
        shards: Number of shards of each generator.
        parts: Number of workers, which work at the same time at random speeds.
        loss: Share of the shards whose worker dies.
        seed: Seed of the random numbers.
        names: The generators; each makes all seeds.
        **options: More options of the plan: `splits`, whose sizes add up to the number of seeds, and `labels`.
    """
    contents = [find_generator(name, SHIPPED).read_bytes() for name in names]
    seeds = parse_seeds(f"0-{shards * _SHARD_SIZE - 1}")
    generator, *others = [CheckedGenerator(digest_of(content), checked_card(content)) for content in contents]
    plan = make_plan(generator, JobSpec(seeds, format="webdataset", shard_size=_SHARD_SIZE, **options), others)
    outcome = Outcome(Memory(), plan)
    chance = random.Random(seed)
    begin(outcome.output, plan)
    waiting = [(chance.random(), part, _missing(outcome, part, parts)) for part in range(parts)]
    heapq.heapify(waiting)
    while waiting:
        now, part, missing = heapq.heappop(waiting)
        if not missing:
            began = time.perf_counter()
            finish(outcome.output, plan)
            outcome.finish_seconds = time.perf_counter() - began
            continue
        if _make(outcome, missing.pop(0), chance, loss):
            missing = _missing(outcome, part, parts)
        heapq.heappush(waiting, (now + chance.expovariate(1.0), part, missing))
    return outcome


def _missing(outcome: Outcome, part: int, parts: int) -> list[int]:
    began = time.perf_counter()
    missing: list[int] = missing_shards(outcome.output, outcome.plan, part, parts).tolist()
    outcome.listing_seconds += time.perf_counter() - began
    outcome.listings += 1
    return missing


def _make(outcome: Outcome, index: int, chance: random.Random, loss: float) -> bool:
    """Make one shard. Returns whether its worker died."""
    step = chance.choice(("half-way", "unrecorded", "recorded")) if chance.random() < loss else None
    if step is not None:
        outcome.losses[step] += 1
    if step == "half-way":
        return True
    outcome.made[index] += 1
    with outcome.output.write(outcome.plan.file_name(index)):
        pass
    if step == "unrecorded":
        return True
    shard, plan = outcome.plan.shard(index), outcome.plan
    record = Record(
        shard=index,
        file=plan.file_name(index),
        seeds=str(shard.seeds),
        count=shard.count,
        bytes=0,
        sha256=_DIGEST,
        model=plan.generators[shard.generator].model,
        plan=plan.digest,
        determinism="exact",
    )
    write_record(outcome.output, record)
    return step is not None


def faults(outcome: Outcome) -> list[str]:
    """Return the faults: seeds that are missing or duplicated in the manifest, and records that were written twice."""
    shards = json.loads(outcome.output.files[MANIFEST])["shards"]
    found = []
    for generator in range(len(outcome.plan.generators)):
        of_generator = [shard for shard in shards if outcome.plan.part_of(shard["shard"]).generator == generator]
        found += _seed_faults([parse_seeds(shard["seeds"]) for shard in of_generator], outcome.plan.num_seeds)
    rewritten = [name for name, times in outcome.output.writes.items() if name.startswith("records/") and times > 1]
    return found + [f"{name} was written twice" for name in rewritten]


def _seed_faults(seeds: Sequence[Seeds], count: int) -> list[str]:
    found = []
    following = 0
    for start, stop in sorted((part.start, part.stop) for shard_seeds in seeds for part in shard_seeds.ranges):
        if start > following:
            found.append(f"seeds {following} to {start - 1} are missing")
        if start < following:
            found.append(f"seeds from {start} are duplicated")
        following = stop
    if following != count:
        found.append(f"seeds from {following} are missing")
    return found


def main() -> None:
    shards, parts = (int(value) for value in (sys.argv[1:] + ["100000", "100"][len(sys.argv) - 1 :]))
    began = time.perf_counter()
    outcome = simulate(shards, parts)
    found = faults(outcome)
    repeated = sum(times - 1 for times in outcome.made.values())
    losses = ", ".join(f"{times:,} {when}" for when, times in sorted(outcome.losses.items()))
    print(f"shards             {outcome.plan.num_shards:,}, of {outcome.plan.count:,} seeds")
    print(f"workers            {parts:,}; died {outcome.losses.total():,} times: {losses}")
    print(f"repeated shards    {repeated:,}, whose workers died between the shard and its record")
    each = outcome.listing_seconds / outcome.listings * 1e3
    print(f"listings           {outcome.listings:,} of records and data, {each:.0f} ms each")
    size = len(outcome.output.files[MANIFEST]) / 1e6
    print(f"finish             {outcome.finish_seconds:.1f} s to read all records and write a manifest of {size:.1f} MB")
    print(f"faults             {len(found)}")
    print(f"simulated in       {time.perf_counter() - began:.0f} s")
    for fault in found[:10]:
        print(fault)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()

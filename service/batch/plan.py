"""The plan of a job: all that decides its bytes. Which seeds lie in which shard follows from it, without a list of shards."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seedmint.models.card import Card, Sha256, field_errors
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of
from seedmint.models.runtime.provider import Provider
from seedmint.models.seeds import Seeds, parse_seeds
from seedmint.service.batch.formats import EXTENSIONS, Form, check_form, libraries
from seedmint.service.runtime.arrays import Piece
from seedmint.service.runtime.generator import check_truncation

MAX_SHARDS = 1_000_000  # names have six digits
BATCH = 64  # images in one run of the generator; larger ones are no faster on a processor

Labels = Annotated[int, Field(ge=0)] | Literal["balanced", "per-seed"]


class PlanError(UserError):
    """The options make no job, or the output holds the plan of another."""

    status = 2


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of a plan.

    Attributes:
        index: its number, from 0.
        start: the position of its first seed in the whole sequence.
        seeds: its seeds, in order.
    """

    index: int
    start: int
    seeds: Seeds

    @property
    def count(self) -> int:
        return self.seeds.count


class Plan(BaseModel):
    """A job. Two runs of one plan give the same bytes.

    Attributes:
        model: SHA-256 of the generator file.
        card: the generator's card.
        provider: what runs it; another gives other bytes.
        seeds: as `parse_seeds` reads them; none twice.
        labels: one for all; "balanced": the image at position i of the sequence has label i modulo the number of classes, so
            that no class has over one image more than another; "per-seed": that which each seed names. None without classes.
        truncation: the factor on z.
        format: of the shards.
        shard_size: seeds in each shard; the last has the rest.
        batch: images in one run of the generator.
        libraries: the kind of machine and the versions that decide bytes.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    model: Sha256
    card: Card
    provider: Provider
    seeds: str
    labels: Labels | None
    truncation: float
    format: Form
    shard_size: int = Field(ge=1)
    batch: int = Field(default=BATCH, ge=1)
    libraries: dict[str, str]

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    @cached_property
    def sequence(self) -> Seeds:
        """All seeds, in order."""
        return parse_seeds(self.seeds)

    @cached_property
    def _starts(self) -> list[int]:
        """The position of each range's first seed."""
        return [0, *accumulate(r.stop - r.start for r in self.sequence.ranges)]

    @property
    def count(self) -> int:
        """Number of images, or samples, in all."""
        return self._starts[-1]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.count // self.shard_size)

    @property
    def classes(self) -> int | None:
        return None if self.card.classes is None else len(self.card.classes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the plan as it is written."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def shard(self, index: int) -> Shard:
        """The shard of a number below `shards`: a contiguous piece of the sequence."""
        if not 0 <= index < self.shards:
            raise IndexError(f"shard {index} of {self.shards}")
        start = index * self.shard_size
        stop = min(self.count, start + self.shard_size)
        ranges = []
        for i in range(bisect_right(self._starts, start) - 1, len(self.sequence.ranges)):
            if self._starts[i] >= stop:
                break
            whole = self.sequence.ranges[i]
            ranges.append(whole[max(0, start - self._starts[i]) : stop - self._starts[i]])
        return Shard(index, start, Seeds(tuple(ranges)))

    def size(self, index: int) -> int:
        """Number of seeds in a shard."""
        return min(self.shard_size, self.count - index * self.shard_size)

    def pieces(self, shard: Shard, batch: int) -> Iterator[Piece]:
        """The seeds and labels of a shard: int64[n] each, n = `batch` but for the last. Labels are None without classes."""
        position = shard.start
        for seeds in shard.seeds.chunks(batch):
            yield seeds, self.labels_at(position, seeds)
            position += len(seeds)

    def positions(self, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where seeds stand in the sequence, and -1 for those that are not in it: int64[n]."""
        order = sorted(range(len(self.sequence.ranges)), key=lambda i: self.sequence.ranges[i].start)
        ranges = [self.sequence.ranges[i] for i in order]
        firsts, lasts = np.array([r.start for r in ranges]), np.array([r.stop - 1 for r in ranges])
        begins = np.array([self._starts[i] for i in order])
        of = np.maximum(0, np.searchsorted(firsts, seeds, side="right") - 1)
        inside = (firsts[of] <= seeds) & (seeds <= lasts[of])
        return np.where(inside, begins[of] + seeds - firsts[of], -1)

    def labels_at(self, position: int, seeds: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The labels of consecutive seeds of the sequence, the first of which stands at `position`: int64[n]."""
        return self.labels_of(position + np.arange(len(seeds), dtype=np.int64), seeds)

    def labels_of(self, positions: NDArray[np.int64], seeds: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The labels of seeds that stand at such positions of the sequence: int64[n]."""
        if self.classes is None:
            return None
        match self.labels:
            case "balanced":
                return positions % self.classes
            case int(label):
                return np.full(len(seeds), label, np.int64)
            case _:
                return labels_of(seeds, self.classes)

    def file_name(self, index: int) -> str:
        """The file of a shard in the output; of the format png, which writes a file for each image, the folder of all."""
        extension = EXTENSIONS[self.format]
        return "data" if extension is None else f"data/shard-{index:06}.{extension}"

    def to_json(self) -> bytes:
        """The plan as it stands in the output: one plan has one spelling."""
        return (self.model_dump_json(by_alias=True, indent=2) + "\n").encode()


def make_plan(
    model: str,
    card: Card,
    provider: Provider,
    seeds: Seeds,
    labels: int | Literal["balanced", "per-seed"] | None,
    truncation: float,
    form: Form,
    shard_size: int,
) -> Plan:
    """A plan whose parts fit each other.

    Args:
        labels: None is "per-seed" of a conditional generator.

    Raises:
        UserError: naming the option that does not fit.
    """
    check_form(form, card)
    try:
        check_truncation(truncation)
    except UserError as error:
        raise PlanError(f"--{error}") from None
    if card.classes is None and labels is not None:
        raise PlanError(f"--labels: generator {card.name!r} is not conditional")
    if card.classes is not None and labels is None:
        labels = "per-seed"
    ordered = sorted(seeds.ranges, key=lambda r: r.start)
    for before, after in pairwise(ordered):
        if after.start < before.stop:
            raise PlanError(f"--seeds: {after.start} comes twice, and would be the same {card.output.kind} twice")
    if shard_size < 1:
        raise PlanError("--shard-size must be at least 1")
    if -(-seeds.count // shard_size) > MAX_SHARDS:
        least = -(-seeds.count // MAX_SHARDS)
        raise PlanError(f"--shard-size {shard_size} makes more than {MAX_SHARDS:,} shards: take at least {least:,}")
    return Plan(
        model=model,
        card=card,
        provider=provider,
        seeds=str(seeds),
        labels=labels,
        truncation=truncation,
        format=form,
        shard_size=shard_size,
        libraries=libraries(form, card),
    )


def read_plan(content: bytes, where: str) -> Plan:
    """A plan as it was written.

    Raises:
        PlanError: it is none, or of a schema this version does not read.
    """
    try:
        return Plan.model_validate_json(content)
    except ValidationError as error:
        field, message = field_errors(error)[0]
        raise PlanError(f"{where} is not a plan that this version reads: {field}: {message}") from None


_OPTIONS = {"seeds": "--seeds", "labels": "--labels", "truncation": "--truncation", "format": "--format"}
_OPTIONS |= {"shard_size": "--shard-size"}


def check_same(there: Plan, wanted: Plan, where: str) -> None:
    """
    Raises:
        PlanError: the output at `where` holds another plan. The message names the first difference.
    """
    if there.model != wanted.model:
        raise PlanError(
            f"{where} holds a job of {there.card.name}@{there.model[:12]}, and this generator is "
            f"{wanted.card.name}@{wanted.model[:12]}: give that file, or another --out"
        )
    for field, value in there:
        other: Any = getattr(wanted, field)
        if value == other:
            continue
        if field == "libraries":
            raise PlanError(
                f"{where} was begun with {difference(value, other)}, which may write other bytes: "
                f"go on with the former, or give another --out"
            )
        name = _OPTIONS.get(field, field)
        raise PlanError(
            f"{where} holds another job: {name} is {value} there, and {other} here. Give the same, or another --out"
        )


def difference(there: dict[str, str], here: dict[str, str]) -> str:
    """What differs of two plans' libraries, in words."""
    names = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
    return ", ".join(f"{name} {there.get(name, 'unknown')} (here: {here.get(name, 'none')})" for name in names)

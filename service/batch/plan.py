"""The plan of a job: everything that determines its bytes. The seeds of each shard follow from the plan."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seedmint.models.card import Card, field_errors
from seedmint.models.card_part import Sha256
from seedmint.models.errors import UserError
from seedmint.models.noise import LabelRule
from seedmint.models.runtime.provider import Provider
from seedmint.models.seeds import Seeds, parse_seeds
from seedmint.service.batch.filter_rule import PlanFilter
from seedmint.service.batch.formats.base import EXTENSIONS, ShardFormat
from seedmint.service.batch.label_weights import label_sequence
from seedmint.service.batch.splits import Split, split_layout
from seedmint.service.runtime.arrays import Piece

BATCH = 64  # seeds in one run of the generator; larger batches are no faster on a CPU

LabelWeights = dict[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]
LabelChoice = Annotated[int, Field(ge=0)] | Literal["balanced", "per-seed"] | LabelWeights


SPLIT_NAME = r"^[a-z][a-z0-9_]{0,31}$"
SplitName = Annotated[str, Field(pattern=SPLIT_NAME)]


def _is_none(value: object) -> bool:
    """Return whether a value is None. The JSON text omits such fields, so that existing plans keep their bytes."""
    return value is None


class PlanError(UserError):
    """The options do not define a job, or the output holds another job. The same command always fails."""

    reason = "invalid_plan"
    status = 2


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of a plan.

    Attributes:
        index: Index of the shard, from 0.
        start: Position of its first seed among all seeds of the plan.
        seeds: Its seeds, in order.
    """

    index: int
    start: int
    seeds: Seeds

    @property
    def count(self) -> int:
        """Number of seeds."""
        return self.seeds.count


class Plan(BaseModel):
    """A job. Two runs of the same plan write the same bytes.

    Attributes:
        schema_version: Version of this schema.
        model: SHA-256 of the generator file.
        card: The card of the generator.
        provider: ONNX Runtime execution provider. Another provider gives other bytes.
        seeds: The seeds, in the syntax of `parse_seeds`. No seed occurs twice.
        labels: One label for all; "balanced": the output at position i has label i modulo the number of classes, so class sizes
            differ by at most one; "per-seed": the label of each seed; label -> weight: labels by `label_sequence`, so
            weights that add up to the number of seeds are exact counts. Positions are those in the split. None for an
            unconditional generator.
        truncation: Factor on z.
        format: Format of the shards.
        shard_size: Seeds in each shard. The last shard of a split may have fewer.
        splits: Number of seeds by the name of the split, in the order of the seeds; None for a data set without splits.
        filter: Which images are kept; None for all. `count` and all other numbers of a plan count the seeds that are tried.
        batch: Seeds in one run of the generator.
        toolchain: What else affects the bytes: the outcome of the generator's check ("determinism") and library versions; for
            an approximate generator also the kind of machine. The JSON key is "toolchain".
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    model: Sha256
    card: Card
    provider: Provider
    seeds: str
    labels: LabelChoice | None
    truncation: float
    format: ShardFormat
    shard_size: int = Field(ge=1)
    splits: dict[SplitName, Annotated[int, Field(ge=1)]] | None = Field(default=None, exclude_if=_is_none)
    filter: PlanFilter | None = Field(default=None, exclude_if=_is_none)
    batch: int = Field(default=BATCH, ge=1)
    toolchain: dict[str, str]

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    @cached_property
    def sequence(self) -> Seeds:
        """All seeds, in order."""
        return parse_seeds(self.seeds)

    @cached_property
    def _starts(self) -> list[int]:
        """Position of the first seed of each range, then the number of seeds."""
        return [0, *accumulate(r.stop - r.start for r in self.sequence.ranges)]

    @property
    def count(self) -> int:
        """Number of seeds, which is the number of images or samples."""
        return self._starts[-1]

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return self.layout[-1].last_shard + 1

    @cached_property
    def layout(self) -> tuple[Split, ...]:
        """The splits, in order. A data set without splits has one, without a name."""
        return split_layout(self.splits, self.count, self.shard_size)

    @cached_property
    def shard_sizes(self) -> NDArray[np.int64]:
        """Number of seeds of each shard, int64[num_shards]."""
        sizes = np.full(self.num_shards, self.shard_size, np.int64)
        for split in self.layout:
            sizes[split.last_shard] = split.last_size
        return sizes

    def split_of(self, index: int) -> Split:
        """Return the split of a shard.

        Args:
            index: Index of the shard.
        """
        return self.layout[bisect_right([split.first_shard for split in self.layout], index) - 1]

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None for an unconditional generator."""
        return None if self.card.classes is None else len(self.card.classes)

    @cached_property
    def _label_rule(self) -> LabelRule | None:
        return self.card.label_rule()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `to_json()`."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def shard(self, index: int) -> Shard:
        """Return one shard: a contiguous part of the seeds.

        Args:
            index: Index of the shard, below `num_shards`.

        Raises:
            IndexError: There is no such shard.
        """
        if not 0 <= index < self.num_shards:
            raise IndexError(f"shard {index} of {self.num_shards}")
        split = self.split_of(index)
        start = split.start + (index - split.first_shard) * self.shard_size
        return Shard(index, start, self.seeds_between(start, start + self.size(index)))

    def seeds_between(self, start: int, stop: int) -> Seeds:
        """Return the seeds at consecutive positions.

        Args:
            start: First position.
            stop: Position after the last, at most `count`.
        """
        ranges = []
        for i in range(bisect_right(self._starts, start) - 1, len(self.sequence.ranges)):
            if self._starts[i] >= stop:
                break
            seeds = self.sequence.ranges[i]
            ranges.append(seeds[max(0, start - self._starts[i]) : stop - self._starts[i]])
        return Seeds(tuple(ranges))

    def size(self, index: int) -> int:
        """Return the number of seeds in a shard.

        Args:
            index: Index of the shard.
        """
        split = self.split_of(index)
        return split.last_size if index == split.last_shard else self.shard_size

    def batches(self, shard: Shard, size: int) -> Iterator[Piece]:
        """Yield the seeds and labels of a shard in batches.

        Args:
            shard: The shard.
            size: Seeds in a batch. The last batch may have fewer.

        Yields:
            Seeds int64[n], and labels int64[n] or None for an unconditional generator.
        """
        position = shard.start
        for seeds in shard.seeds.chunks(size):
            yield seeds, self.labels_at(position, seeds)
            position += len(seeds)

    def positions(self, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position of each seed among all seeds of the plan.

        Args:
            seeds: int64[n].

        Returns:
            int64[n]; -1 for seeds that are not in the plan.
        """
        order = sorted(range(len(self.sequence.ranges)), key=lambda i: self.sequence.ranges[i].start)
        ranges = [self.sequence.ranges[i] for i in order]
        firsts, lasts = np.array([r.start for r in ranges]), np.array([r.stop - 1 for r in ranges])
        starts = np.array([self._starts[i] for i in order])
        range_index = np.maximum(0, np.searchsorted(firsts, seeds, side="right") - 1)
        inside = (firsts[range_index] <= seeds) & (seeds <= lasts[range_index])
        return np.where(inside, starts[range_index] + seeds - firsts[range_index], -1)

    def labels_at(self, position: int, seeds: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the labels of consecutive seeds.

        Args:
            position: Position of the first seed.
            seeds: int64[n].

        Returns:
            int64[n], or None for an unconditional generator.
        """
        return self.labels_of(position + np.arange(len(seeds), dtype=np.int64), seeds)

    def labels_of(self, positions: NDArray[np.int64], seeds: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the labels of seeds at any positions.

        Args:
            positions: int64[n].
            seeds: int64[n].

        Returns:
            int64[n], or None for an unconditional generator.
        """
        if self.num_classes is None or self._label_rule is None:
            return None
        match self.labels:
            case "balanced":
                return self._positions_in_splits(positions) % self.num_classes
            case dict(weights):
                sequence = label_sequence(weights)
                return sequence[self._positions_in_splits(positions) % len(sequence)]
            case int(label):
                return np.full(len(seeds), label, np.int64)
            case _:
                return self._label_rule.labels(seeds)

    def _positions_in_splits(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        starts = np.array([split.start for split in self.layout])
        local: NDArray[np.int64] = positions - starts[np.searchsorted(starts, positions, side="right") - 1]
        return local

    def shards_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of the shard of each position.

        Args:
            positions: int64[n], from 0.

        Returns:
            int64[n].
        """
        starts = np.array([split.start for split in self.layout])
        first_shards = np.array([split.first_shard for split in self.layout])
        found = np.searchsorted(starts, positions, side="right") - 1
        shards: NDArray[np.int64] = first_shards[found] + (positions - starts[found]) // self.shard_size
        return shards

    def file_name(self, index: int) -> str:
        """Return the name of a shard's file in the output. The format png has many files, in the folder of the split.

        Args:
            index: Index of the shard.
        """
        extension = EXTENSIONS[self.format]
        folder = self.split_of(index).folder
        return folder if extension is None else f"{folder}/shard-{index:06}.{extension}"

    def to_json(self) -> bytes:
        """Return the content of plan.json. Equal plans give equal bytes."""
        return (self.model_dump_json(by_alias=True, indent=2) + "\n").encode()


def read_plan(content: bytes, url: str) -> Plan:
    """Parse the content of plan.json.

    Args:
        content: The content.
        url: Where the file is, for the error message.

    Raises:
        PlanError: The content is not a plan, or has another schema version.
    """
    try:
        return Plan.model_validate_json(content)
    except ValidationError as error:
        field, message = field_errors(error)[0]
        raise PlanError(
            f"{url} is not a plan that this version can read: {field}: {message}", reason="unreadable_plan"
        ) from None

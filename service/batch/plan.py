"""The plan of a job: everything that determines its bytes. The seeds of each shard follow from the plan."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seedmint.models.card import Card
from seedmint.models.card_part import Sha256, is_none
from seedmint.models.errors import UserError, field_errors
from seedmint.models.runtime.provider import Provider
from seedmint.models.seeds import Seeds, parse_seeds
from seedmint.service.batch.filter_rule import PlanFilter
from seedmint.service.batch.formats.base import EXTENSIONS, ShardFormat
from seedmint.service.batch.formats.features import Keys
from seedmint.service.batch.labelling import Labelling
from seedmint.service.batch.plan_generator import PlanGenerator
from seedmint.service.batch.seed_order import SeedOrder
from seedmint.service.batch.splits import Part, Split, split_layout
from seedmint.service.runtime.arrays import Piece

BATCH = 64  # seeds in one run of the generator; larger batches are no faster on a CPU

LabelWeights = dict[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]
LabelChoice = Annotated[int, Field(ge=0)] | Literal["balanced", "per-seed"] | LabelWeights


SPLIT_NAME = r"^[a-z][a-z0-9_]{0,31}$"
SplitName = Annotated[str, Field(pattern=SPLIT_NAME)]


def _is_empty(value: tuple[object, ...]) -> bool:
    return not value


class PlanError(UserError):
    """The options do not define a job, or the output holds another job. The same command always fails."""

    reason = "invalid_plan"
    status = 2


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of a plan.

    Attributes:
        index: Index of the shard, from 0.
        start: Position of its first image among all images of the plan.
        seeds: Its seeds, in order.
        generator: Index of its generator among the generators of the plan.
    """

    index: int
    start: int
    seeds: Seeds
    generator: int = 0

    @property
    def count(self) -> int:
        """Number of seeds."""
        return self.seeds.count


class Plan(BaseModel):
    """A job. Two runs of the same plan write the same bytes.

    Attributes:
        schema_version: Version of this schema.
        model: SHA-256 of the generator file; of the first, if there are several generators.
        card: The card of the generator; of the first, if there are several.
        provider: ONNX Runtime execution provider. Another provider gives other bytes.
        seeds: The seeds, in the syntax of `parse_seeds`. No seed occurs twice.
        labels: One label for all; "balanced": the output at position i has label i modulo the number of classes, so class sizes
            differ by at most one; "per-seed": the label of each seed; label -> weight: labels by `label_sequence`, so
            weights that add up to the number of seeds are exact counts. Positions are those of a generator in a split. None for
            unconditional generators.
        truncation: Factor on z.
        format: Format of the shards.
        shard_size: Seeds in each shard. The last shard of a split may have fewer.
        splits: Number of seeds by the name of the split, in the order of the seeds; None for a data set without splits.
        filter: Which images are kept; None for all. `count` and all other numbers of a plan count the images that are tried.
        batch: Seeds in one run of the generator.
        toolchain: What else affects the bytes: the outcome of the generator's check ("determinism") and library versions; for
            an approximate generator also the kind of machine. The JSON key is "toolchain".
        others: The generators after the first. Every generator makes all seeds.
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
    splits: dict[SplitName, Annotated[int, Field(ge=1)]] | None = Field(default=None, exclude_if=is_none)
    filter: PlanFilter | None = Field(default=None, exclude_if=is_none)
    batch: int = Field(default=BATCH, ge=1)
    toolchain: dict[str, str]
    others: tuple[PlanGenerator, ...] = Field(default=(), exclude_if=_is_empty)

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    @property  # not cached, because a copy with another `model` would keep the cache
    def generators(self) -> tuple[PlanGenerator, ...]:
        """All generators."""
        first = PlanGenerator.model_construct(model=self.model, card=self.card, filter=self.filter, toolchain=self.toolchain)
        return first, *self.others

    @cached_property
    def sequence(self) -> Seeds:
        """All seeds, in order."""
        return parse_seeds(self.seeds)

    @cached_property
    def seed_order(self) -> SeedOrder:
        """The positions of all seeds."""
        return SeedOrder(self.sequence)

    @property
    def num_seeds(self) -> int:
        """Number of seeds."""
        return self.seed_order.count

    @property
    def count(self) -> int:
        """Number of images or samples: each generator makes all seeds."""
        return self.num_seeds * (1 + len(self.others))

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return self.layout[-1].last_shard + 1

    @cached_property
    def layout(self) -> tuple[Split, ...]:
        """The splits, in order. A data set without splits has one, without a name."""
        return split_layout(self.splits, self.num_seeds, self.shard_size, 1 + len(self.others))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts of all splits, in order."""
        return tuple(part for split in self.layout for part in split.parts)

    @cached_property
    def shard_sizes(self) -> NDArray[np.int64]:
        """Number of seeds of each shard, int64[num_shards]."""
        sizes = np.full(self.num_shards, self.shard_size, np.int64)
        for part in self.parts:
            sizes[part.last_shard] = part.last_size
        return sizes

    @cached_property
    def shard_generators(self) -> NDArray[np.int64]:
        """Index of the generator of each shard, int64[num_shards]."""
        return np.repeat([part.generator for part in self.parts], [part.num_shards for part in self.parts])

    def part_of(self, index: int) -> Part:
        """Return the part of a shard.

        Args:
            index: Index of the shard.
        """
        return self.parts[bisect_right(self.parts, index, key=lambda part: part.first_shard) - 1]

    @property
    def is_conditional(self) -> bool:
        """Whether the generators have labels."""
        return self.card.classes is not None

    @cached_property
    def label_digits(self) -> int:
        """Digits of the labels in names of folders: those of the largest label of all generators."""
        return len(str(max(len(generator.card.classes or ()) for generator in self.generators) - 1))

    @cached_property
    def keys(self) -> Keys:
        """The columns that identify an image or sample."""
        classes = {generator.card.classes for generator in self.generators}
        return Keys(self.card.classes if len(classes) == 1 else (), bool(self.others))

    def origin(self, generator: int) -> str | None:
        """Return the reference of a generator for the data; None if the data set has only one generator.

        Args:
            generator: Index of the generator.
        """
        return self.generators[generator].reference if self.others else None

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
        part = self.part_of(index)
        offset = (index - part.first_shard) * self.shard_size
        first = part.first_seed + offset
        return Shard(index, part.start + offset, self.seed_order.between(first, first + self.size(index)), part.generator)

    def size(self, index: int) -> int:
        """Return the number of seeds in a shard.

        Args:
            index: Index of the shard.
        """
        part = self.part_of(index)
        return part.last_size if index == part.last_shard else self.shard_size

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

    def image_positions(self, seed_positions: NDArray[np.int64], generator: int) -> NDArray[np.int64]:
        """Return the position among all images of the images of one generator.

        Args:
            seed_positions: int64[n], positions of seeds among all seeds.
            generator: Index of the generator.

        Returns:
            int64[n].
        """
        parts = [split.parts[generator] for split in self.layout]
        first_seeds = np.array([part.first_seed for part in parts])
        starts = np.array([part.start for part in parts])
        found = np.searchsorted(first_seeds, seed_positions, side="right") - 1
        positions: NDArray[np.int64] = starts[found] + seed_positions - first_seeds[found]
        return positions

    def labels_at(self, position: int, seeds: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the labels of consecutive images.

        Args:
            position: Position of the first image among all images.
            seeds: int64[n], its seed and the next ones.

        Returns:
            int64[n], or None for unconditional generators.
        """
        return self.labels_of(position + np.arange(len(seeds), dtype=np.int64), seeds)

    def labels_of(self, positions: NDArray[np.int64], seeds: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the labels of images at any positions.

        Args:
            positions: int64[n], positions among all images.
            seeds: int64[n], the seeds of the images.

        Returns:
            int64[n], or None for unconditional generators.
        """
        return None if self._labelling is None else self._labelling.labels(positions, seeds)

    @cached_property
    def _labelling(self) -> Labelling | None:
        rules = [rule for generator in self.generators if (rule := generator.card.label_rule()) is not None]
        return Labelling("per-seed" if self.labels is None else self.labels, self.parts, rules) if rules else None

    def shards_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of the shard of each image.

        Args:
            positions: int64[n], positions among all images, from 0.

        Returns:
            int64[n].
        """
        starts = np.array([part.start for part in self.parts])
        first_shards = np.array([part.first_shard for part in self.parts])
        found = np.searchsorted(starts, positions, side="right") - 1
        shards: NDArray[np.int64] = first_shards[found] + (positions - starts[found]) // self.shard_size
        return shards

    def file_name(self, index: int) -> str:
        """Return the name of a shard's file in the output; of its folder in the format png, which has many files.

        Args:
            index: Index of the shard.
        """
        extension, part = EXTENSIONS[self.format], self.part_of(index)
        return self.image_folder(part) if extension is None else f"{part.folder}/shard-{index:06}.{extension}"

    def image_folder(self, part: Part) -> str:
        """Return the folder of the images of a part in the format png.

        Args:
            part: The part.
        """
        return f"{part.folder}/{self.generators[part.generator].folder}" if self.others else part.folder

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

"""The layout of a data set: splits, such as train and test, and the part of each generator in a split."""

from collections.abc import Mapping
from dataclasses import dataclass

DATA_FOLDER = "data"


@dataclass(frozen=True, slots=True)
class Part:
    """The images or samples of one generator in one split: contiguous shards.

    Attributes:
        split: Name of the split; None for a data set without splits.
        generator: Index of the generator among the generators of the plan.
        start: Position of its first image among all images of the plan.
        first_seed: Position of its first seed among all seeds of the plan.
        count: Number of its seeds.
        first_shard: Index of its first shard.
        shard_size: Seeds in each shard. The last shard of a part may have fewer.
    """

    split: str | None
    generator: int
    start: int
    first_seed: int
    count: int
    first_shard: int
    shard_size: int

    @property
    def folder(self) -> str:
        """Name of the folder of the split in the output."""
        return DATA_FOLDER if self.split is None else f"{DATA_FOLDER}/{self.split}"

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return -(-self.count // self.shard_size)

    @property
    def last_shard(self) -> int:
        """Index of its last shard."""
        return self.first_shard + self.num_shards - 1

    @property
    def last_size(self) -> int:
        """Number of seeds in its last shard."""
        return self.count - (self.num_shards - 1) * self.shard_size


@dataclass(frozen=True, slots=True)
class Split:
    """One split, with the parts of all generators. A data set without splits has one, without a name.

    Attributes:
        name: Its name; None for a data set without splits.
        parts: The part of each generator, in the order of the generators.
    """

    name: str | None
    parts: tuple[Part, ...]

    @property
    def folder(self) -> str:
        """Name of the folder of its data in the output."""
        return self.parts[0].folder

    @property
    def count(self) -> int:
        """Number of its images or samples."""
        return sum(part.count for part in self.parts)

    @property
    def reader_name(self) -> str:
        """Name of the split for `datasets`, which needs one."""
        return self.name or "train"

    @property
    def first_shard(self) -> int:
        """Index of its first shard."""
        return self.parts[0].first_shard

    @property
    def last_shard(self) -> int:
        """Index of its last shard."""
        return self.parts[-1].last_shard


def split_layout(splits: Mapping[str, int] | None, count: int, shard_size: int, generators: int) -> tuple[Split, ...]:
    """Return the splits of a plan. In each split, every generator makes all seeds of the split, one generator after the other.

    Args:
        splits: Number of seeds by the name of the split, in the order of the seeds; None for a data set without splits.
        count: Number of all seeds.
        shard_size: Seeds in each shard.
        generators: Number of generators.
    """
    layout: list[Split] = []
    start = first_seed = first_shard = 0
    for name, size in ({None: count} if splits is None else splits).items():
        parts = []
        for generator in range(generators):
            parts.append(Part(name, generator, start, first_seed, size, first_shard, shard_size))
            start += size
            first_shard += parts[-1].num_shards
        layout.append(Split(name, tuple(parts)))
        first_seed += size
    return tuple(layout)

"""Splits of a data set, such as train and test: each is a contiguous part of the seeds, with its own shards and folder."""

from collections.abc import Mapping
from dataclasses import dataclass

DATA_FOLDER = "data"


@dataclass(frozen=True, slots=True)
class Split:
    """One split. A data set without splits has one, without a name.

    Attributes:
        name: Its name; None for a data set without splits.
        start: Position of its first seed among all seeds of the plan.
        count: Number of its seeds.
        first_shard: Index of its first shard.
        shard_size: Seeds in each shard. The last shard of a split may have fewer.
    """

    name: str | None
    start: int
    count: int
    first_shard: int
    shard_size: int

    @property
    def folder(self) -> str:
        """Name of the folder of its data in the output."""
        return DATA_FOLDER if self.name is None else f"{DATA_FOLDER}/{self.name}"

    @property
    def reader_name(self) -> str:
        """Name of the split for `datasets`, which needs one."""
        return self.name or "train"

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


def split_layout(splits: Mapping[str, int] | None, count: int, shard_size: int) -> tuple[Split, ...]:
    """Return the splits of a plan.

    Args:
        splits: Number of seeds by the name of the split, in order; None for a data set without splits.
        count: Number of all seeds.
        shard_size: Seeds in each shard.
    """
    layout: list[Split] = []
    start = first_shard = 0
    for name, size in ({None: count} if splits is None else splits).items():
        layout.append(Split(name, start, size, first_shard, shard_size))
        start += size
        first_shard += layout[-1].num_shards
    return tuple(layout)

"""PyTorch data sets of generated images or samples: `SeedDataset` and `SeedIterableDataset`.

Each item is a tensor and a label, or only a tensor for an unconditional generator. Images are uint8[channels, height, width];
samples are float32 with the output shape in the card. Each worker of a `DataLoader` opens its own generator with one thread.
All start methods work (fork, forkserver, spawn).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.arguments import LabelsLike, SeedsLike, seed_array, whole_number
from seedmint.generator import Generator
from seedmint.models.errors import UserError
from seedmint.models.installation import needs_extra

with needs_extra("train"):
    import torch
    from torch import Tensor
    from torch.utils.data import Dataset, IterableDataset, get_worker_info

Item = Tensor | tuple[Tensor, int]


class SeedDataset(Dataset[Item]):
    """A map-style data set: item i is the output of the i-th seed. Works with samplers, including `DistributedSampler`.

    The data set has `__getitems__`, so that a `DataLoader` generates a whole batch in one run.
    """

    def __init__(
        self, generator: Generator, seeds: SeedsLike, labels: LabelsLike = None, truncation: float = 1.0, transform: Any = None
    ) -> None:
        """
        Args:
            generator: An open generator.
            seeds: A range, a text such as "0-63,100", or any iterable or array of seeds.
            labels: A class number or name for all seeds, or one for each; None for the label that each seed determines.
            truncation: Factor on z, 0.001 to 1.
            transform: Function that is applied to each tensor; None for no function.

        Raises:
            UserError: A value is invalid.
        """
        self._generator = generator
        self._seeds = seed_array(seeds)
        self._labels = generator.label_array(labels, self._seeds)
        self._truncation = truncation
        self._transform = transform

    def __len__(self) -> int:
        return len(self._seeds)

    def __getitem__(self, index: int) -> Item:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} seeds")
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[Item]:
        """Generate several items in one run.

        Args:
            indices: Positions in the seeds.
        """
        rows = np.asarray(indices, np.int64)
        labels = None if self._labels is None else self._labels[rows]
        return _items(self._generator, self._seeds[rows], labels, self._truncation, self._transform)


class SeedIterableDataset(IterableDataset[Item]):
    """An iterable data set that splits the seeds over workers and ranks without overlap.

    Seeds are distributed round-robin, so that the numbers of items of two ranks, and of two workers, differ by at most one.
    """

    def __init__(
        self,
        generator: Generator,
        seeds: SeedsLike,
        labels: LabelsLike = None,
        truncation: float = 1.0,
        transform: Any = None,
        batch: int = 64,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """
        Args:
            generator: An open generator.
            seeds: As for `SeedDataset`.
            labels: As for `SeedDataset`.
            truncation: Factor on z, 0.001 to 1.
            transform: As for `SeedDataset`.
            batch: Outputs of one run of the generator.
            rank: Rank of this process; None for the rank in `torch.distributed`, or 0 without `torch.distributed`.
            world_size: Number of ranks; None for the number in `torch.distributed`, or 1 without `torch.distributed`.

        Raises:
            UserError: A value is invalid.
        """
        self._rank, self._world_size = rank, world_size
        self._place()
        self._generator = generator
        self._seeds = seed_array(seeds)
        self._labels = generator.label_array(labels, self._seeds)
        self._truncation = truncation
        self._transform = transform
        self._batch = whole_number(batch, "batch")

    def __iter__(self) -> Iterator[Item]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        rank, world_size = self._place()
        rows = slice(worker * world_size + rank, None, world_size * workers)
        seeds = self._seeds[rows]
        labels = None if self._labels is None else self._labels[rows]
        for start in range(0, len(seeds), self._batch):
            part = slice(start, start + self._batch)
            part_labels = None if labels is None else labels[part]
            yield from _items(self._generator, seeds[part], part_labels, self._truncation, self._transform)

    def __getstate__(self) -> dict[str, Any]:
        """Spawned workers have no `torch.distributed`, so they receive the rank of this process."""
        rank, world_size = self._place()
        return self.__dict__ | {"_rank": rank, "_world_size": world_size}

    def _place(self) -> tuple[int, int]:
        """Return the rank and the number of ranks. `torch.distributed` may have started after the data set was made."""
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank, world_size = self._rank, self._world_size
        if rank is None:
            rank = torch.distributed.get_rank() if distributed else 0
        if world_size is None:
            world_size = torch.distributed.get_world_size() if distributed else 1
        rank, world_size = whole_number(rank, "rank", 0), whole_number(world_size, "world_size")
        if rank >= world_size:
            raise UserError(f"rank {rank} is not below {world_size}", field="rank", reason="out_of_range")
        return rank, world_size


def _items(
    generator: Generator, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None, truncation: float, transform: Any
) -> list[Item]:
    if get_worker_info() is not None:
        generator.use_threads(1)
    outputs = generator.outputs(seeds, labels, truncation)
    if outputs.dtype == np.uint8:
        outputs = outputs.transpose(0, 3, 1, 2)
    tensors = [tensor if transform is None else transform(tensor) for tensor in torch.from_numpy(np.ascontiguousarray(outputs))]
    return tensors if labels is None else list(zip(tensors, labels.tolist(), strict=True))

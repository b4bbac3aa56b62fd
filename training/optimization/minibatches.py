"""Minibatches of noise and data, drawn on the training device."""

import math

import numpy as np
import torch
from torch import Tensor

from seedmint.training.datasets import DataError, Dataset
from seedmint.training.optimization import distributed

_EPOCH_STREAMS = 1 << 62  # random streams from this number on shuffle the epochs; lower numbers belong to the iterations


def stream_seed(seed: int, stream: int) -> int:
    """Return a 63-bit seed for one random stream of a run, mixed by NumPy's `SeedSequence`.

    Args:
        seed: The run's seed.
        stream: Number of the stream.
    """
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> 1)


def seed_generator(device: torch.device, seed: int) -> None:
    """Seed torch's global random generator of a device.

    `torch.manual_seed` seeds those of all kinds of devices. On a machine without them, it formats the stack for each one: sixty
    times the CPU time, or more on a deep stack.

    Args:
        device: The device.
        seed: The seed.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


class Minibatches:
    """Draws the minibatches of Algorithm 1.

    Data are drawn without replacement. Epoch e shuffles the whole data set with the seed (seed, e), and drops the last few
    examples if m does not divide their number. Noise and labels for generated examples come from torch's global random
    generator. In distributed training each process gets its rows of every draw; `m` in the shapes below is then the number of
    these rows.

    Args:
        dataset: Source of the data. A GPU gets a copy if half of its free memory suffices; otherwise each minibatch is copied.
        conditional: Whether labels are drawn too.
        m: Minibatch size.
        prior: `normal`, or `uniform` on (-sqrt 3, sqrt 3). Both have unit variance.
        z_dim: Length of z.
        seed: The run's seed.
        device: Device of all tensors.

    Raises:
        DataError: The data set has fewer than m examples, or has no labels and the recipe is conditional.
        DistributedError: m is not a multiple of the number of processes.
    """

    def __init__(
        self, dataset: Dataset, conditional: bool, m: int, prior: str, z_dim: int, seed: int, device: torch.device
    ) -> None:
        if len(dataset) < m:
            raise DataError(
                f"a minibatch of {m} exceeds the {len(dataset)} {dataset.noun}s of {dataset.name}",
                field="m",
                reason="too_few_examples",
            )
        if conditional and dataset.labels is None:
            message = f"{dataset.name} has no labels: set false, or give each {dataset.noun} a label"
            raise DataError(message, field="conditional", reason="no_labels")
        values = dataset.values if dataset.scaling is None else dataset.scaling.standardize(dataset.samples)
        self._values = torch.from_numpy(values)
        if device.type == "cpu" or values.nbytes <= torch.cuda.mem_get_info(device)[0] // 2:
            self._values = self._values.to(device)
        self._labels = torch.from_numpy(dataset.labels).to(device) if conditional and dataset.labels is not None else None
        self._m, self._prior, self._z_dim, self._seed, self._device = m, prior, z_dim, seed, device
        self._local_rows = distributed.local_rows(m)
        self._epoch = -1
        self._order = torch.empty(0)

    def data(self, index: int) -> tuple[Tensor, Tensor | None]:
        """Return one minibatch of the data.

        Args:
            index: Number of the minibatch in the run, from 0.

        Returns:
            Images, float32[m, channels, height, width] in [0, 1], or standardized samples, float32[m, ...]; and their
            labels, int64[m], or None.
        """
        return self.take(self.rows(index))

    def rows(self, index: int) -> Tensor:
        """Return the rows of the data in one minibatch: int64[m], on the device of the data.

        Args:
            index: Number of the minibatch in the run, from 0.
        """
        epoch, position = divmod(index, len(self._values) // self._m)
        if epoch != self._epoch:
            shuffle = torch.Generator().manual_seed(stream_seed(self._seed, _EPOCH_STREAMS + epoch))
            self._order = torch.randperm(len(self._values), generator=shuffle).to(self._values.device)
            self._epoch = epoch
        return self._order[position * self._m : (position + 1) * self._m][self._local_rows]

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the data of some rows, as `data` does.

        Args:
            rows: int64[m], on the device of the data.
        """
        x = self._values[rows].to(self._device)
        if x.dtype == torch.uint8:
            x = x.float().div_(255)
        return x, None if self._labels is None else self._labels[rows.to(self._device)]

    @property
    def is_resident(self) -> bool:
        """Whether the data are on the device of the training, so that no minibatch is copied."""
        return self._values.device.type == self._device.type

    def noise(self) -> Tensor:
        """Return z: float32[m, z_dim] from the prior."""
        if self._prior == "normal":
            return torch.randn(self._m, self._z_dim, device=self._device)[self._local_rows]
        z = torch.rand(self._m, self._z_dim, device=self._device)[self._local_rows]
        return z.mul_(2).sub_(1).mul_(math.sqrt(3.0))

    def labels(self) -> Tensor | None:
        """Return labels for generated examples, int64[m], in the proportions of the data; None without labels."""
        if self._labels is None:
            return None
        return self._labels[torch.randint(len(self._labels), (self._m,), device=self._device)[self._local_rows]]

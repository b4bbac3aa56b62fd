"""Minibatches of noise and data, drawn on the device where the data lie: images as uint8, samples standardised."""

import math

import numpy as np
import torch
from torch import Tensor

from seedmint.training.datasets import DataError, Dataset
from seedmint.training.optimization import distributed

_EPOCHS = 1 << 62  # streams of numbers from here on order the epochs; those below belong to iterations


def step_seed(seed: int, stream: int) -> int:
    """A 63-bit seed for one stream of random numbers of a run, well mixed by NumPy's `SeedSequence`."""
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> 1)


class Minibatches:
    """Draws for Algorithm 1.

    Data come without replacement: epoch e shuffles all of them by (seed, e), leaving out the last few where m does not
    divide their number. Noise, and labels for what is generated, come from torch's global generator. Where several processes
    share the run, each gets its part of what one would have drawn: `m` below is then m divided by their number.

    Args:
        dataset: what to draw from; copied to the device once.
        conditional: whether labels are drawn too.
        m: minibatch size.
        prior: `normal`, or `uniform` on (-sqrt 3, sqrt 3): both of unit variance.
        z_dim: length of z.
        seed: the run's.
        device: where to.

    Raises:
        DataError: fewer examples than m, or no labels for a conditional recipe.
        ParallelError: m cannot be shared evenly by the processes of the run.
    """

    def __init__(
        self, dataset: Dataset, conditional: bool, m: int, prior: str, z_dim: int, seed: int, device: torch.device
    ) -> None:
        if len(dataset) < m:
            raise DataError(f"m: a minibatch of {m} is more than the {len(dataset)} {dataset.noun}s of {dataset.name}")
        if conditional and dataset.labels is None:
            raise DataError(f"conditional: {dataset.name} has no labels")
        values = dataset.values if dataset.scaling is None else dataset.scaling.standardised(dataset.samples)
        self._values = torch.from_numpy(values).to(device)
        self._labels = torch.from_numpy(dataset.labels).to(device) if conditional and dataset.labels is not None else None
        self._m, self._prior, self._z_dim, self._seed, self._device = m, prior, z_dim, seed, device
        self._part = distributed.part_of(m)
        self._epoch = -1
        self._order = torch.empty(0)

    def data(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Minibatch `number` of the run, and its int64[m] labels or None.

        Returns:
            images, float32[m, channels, height, width] in [0, 1], or standardised samples, float32[m, ...].
        """
        epoch, place = divmod(number, len(self._values) // self._m)
        if epoch != self._epoch:
            shuffle = torch.Generator().manual_seed(step_seed(self._seed, _EPOCHS + epoch))
            self._order = torch.randperm(len(self._values), generator=shuffle).to(self._device)
            self._epoch = epoch
        rows = self._order[place * self._m : (place + 1) * self._m][self._part]
        x = self._values[rows]
        if x.dtype == torch.uint8:
            x = x.float().div_(255)
        return x, None if self._labels is None else self._labels[rows]

    def noise(self) -> Tensor:
        """float32[m, z_dim] from the prior."""
        if self._prior == "normal":
            return torch.randn(self._m, self._z_dim, device=self._device)[self._part]
        z = torch.rand(self._m, self._z_dim, device=self._device)[self._part]
        return z.mul_(2).sub_(1).mul_(math.sqrt(3.0))

    def labels(self) -> Tensor | None:
        """int64[m] labels in the proportions of the data, for generated images; None without labels."""
        if self._labels is None:
            return None
        return self._labels[torch.randint(len(self._labels), (self._m,), device=self._device)[self._part]]

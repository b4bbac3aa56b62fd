"""The generator as it is served: z (and label) in, finished images or samples out. Previews and exports both go through it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seedmint.models.noise import labels_of, noise
from seedmint.training.datasets.scaling import MOST_STEPS, Scaling

_BATCH = 500


class ServedGenerator(nn.Module):
    """Wraps a generator so that nothing is left for a server to do.

    `forward` maps z: float32[n, z_dim] (and label: int64[n]) to uint8[n, height, width, channels], rounded grey levels; or,
    with a scaling, to float32[n, ...] in the data's units, whole multiples of the resolution.
    """

    def __init__(self, generator: nn.Module, scaling: Scaling | None = None) -> None:
        super().__init__()
        self.generator = generator
        self.finish = _Levels() if scaling is None else _Steps(scaling)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        finished: Tensor = self.finish(self.generator(z) if label is None else self.generator(z, label))
        return finished


class _Levels(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        levels = (images * 255).round().clamp(0, 255)
        return levels.permute(0, 2, 3, 1).to(torch.uint8)


class _Steps(nn.Module):
    gain: Tensor
    offset: Tensor
    resolution: Tensor

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        mean, std, resolution = np.array([scaling.mean, scaling.std, scaling.resolution])
        for name, values in (("gain", std / resolution), ("offset", mean / resolution), ("resolution", resolution)):
            self.register_buffer(name, torch.from_numpy(values).float())

    def forward(self, samples: Tensor) -> Tensor:
        steps = (samples * self.gain + self.offset).round().clamp(-MOST_STEPS, MOST_STEPS)
        return steps.to(torch.int32).to(torch.float32) * self.resolution  # by way of whole numbers: no -0.0


@torch.no_grad()
def outputs_of_seeds(
    generator: nn.Module,
    scaling: Scaling | None,
    rule: str,
    z_dim: int,
    classes: int,
    seeds: NDArray[np.int64],
    labels: NDArray[np.int64] | None,
    device: torch.device,
) -> NDArray[Any]:
    """The images or samples that the service will return for these seeds once this generator is exported.

    Args:
        generator: its mode is put to evaluation, and back.
        scaling: of samples; None for images.
        rule, z_dim: the noise rule.
        classes: number of classes, 0 without labels.
        seeds: int64[n].
        labels: int64[n], or None: each seed takes its own.
        device: where the generator is.

    Returns:
        uint8[n, height, width, channels], or float32[n, ...]
    """
    z = torch.from_numpy(noise(rule, z_dim, seeds)).to(device)
    chosen = labels_of(seeds, classes) if classes and labels is None else labels
    label = None if chosen is None else torch.from_numpy(chosen).to(device)
    training = generator.training
    generator.eval()
    try:
        served = ServedGenerator(generator, scaling).to(device)
        its = [None] * len(z) if label is None else torch.split(label, _BATCH)
        parts = [served(some, label).cpu().numpy() for some, label in zip(torch.split(z, _BATCH), its, strict=False)]
        made: NDArray[Any] = np.concatenate(parts)
    finally:
        generator.train(training)
    return made

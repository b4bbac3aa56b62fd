"""The generator as it is served: z (and label) in, finished uint8 images out. Previews and exports both go through it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.noise import labels_of, noise

_BATCH = 500


class ServedGenerator(nn.Module):
    """Wraps a generator so that nothing is left for a server to do.

    `forward` maps z: float32[n, z_dim] (and label: int64[n]) to uint8[n, height, width, channels]: rounded grey levels.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        images = self.generator(z) if label is None else self.generator(z, label)
        levels = (images * 255).round().clamp(0, 255)
        finished: Tensor = levels.permute(0, 2, 3, 1).to(torch.uint8)
        return finished


@torch.no_grad()
def images_of_seeds(
    generator: nn.Module, rule: str, z_dim: int, classes: int, seeds: NDArray[np.int64], device: torch.device
) -> NDArray[np.uint8]:
    """The images that the service will return for these seeds once this generator is exported.

    Args:
        generator: its mode is put to evaluation, and back.
        rule, z_dim: the noise rule.
        classes: number of classes, 0 without labels; each seed takes its own label.
        seeds: int64[n].
        device: where the generator is.

    Returns:
        uint8[n, height, width, channels]
    """
    z = torch.from_numpy(noise(rule, z_dim, seeds)).to(device)
    label = torch.from_numpy(labels_of(seeds, classes)).to(device) if classes else None
    training = generator.training
    generator.eval()
    try:
        served = ServedGenerator(generator)
        labels = [None] * len(z) if label is None else torch.split(label, _BATCH)
        parts = [served(some, its).cpu().numpy() for some, its in zip(torch.split(z, _BATCH), labels, strict=False)]
        images: NDArray[np.uint8] = np.concatenate(parts)
    finally:
        generator.train(training)
    return images

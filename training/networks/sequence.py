"""A one-dimensional convolutional generator and discriminator for series, after WaveGAN (Donahue et al., 2019).

D halves the length, rounding up, until the length is at most 8, and doubles the channels each time. G runs in the other
direction. If the length is not a multiple of the shortest feature map's length, D pads its input with zeros, which are the mean
of standardized series, and G crops its output.
"""

import itertools

from torch import Tensor, nn
from torch.nn import functional

from seedmint.training.networks.batch_norm import BatchNorm1d
from seedmint.training.networks.downsampling import layer_widths, num_downsamples
from seedmint.training.networks.labels import append_one_hot
from seedmint.training.networks.projection import ProjectionDiscriminator
from seedmint.training.recipes.networks import SequenceDiscriminator, SequenceGenerator

MIN_LENGTH = 8
"""Smallest length of a series, steps."""

_MAX_START_LENGTH = 8  # largest length of the shortest feature map
_KERNEL, _PADDING = 8, 3  # with stride 2, these exactly double or halve the length


class SequenceG(nn.Module):
    """z and the one-hot label -> short feature map -> transposed convolutions -> linear output.

    Args:
        config: `width`, the number of channels at half the length.
        z_dim: Length of z.
        shape: (length, channels) of the series.
        classes: Number of classes; 0 without labels.
    """

    def __init__(self, config: SequenceGenerator, z_dim: int, shape: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.length, channels = shape
        self.classes = classes
        count = num_downsamples(self.length, _MAX_START_LENGTH)
        widths = layer_widths(config.width, config.max_width, count)[::-1]
        self.start = (widths[0], -(-self.length // 2**count))
        self.input = nn.Linear(z_dim + classes, self.start[0] * self.start[1], bias=False)
        self.norms = nn.ModuleList(BatchNorm1d(width) for width in widths)
        self.steps = nn.ModuleList(
            nn.ConvTranspose1d(a, b, _KERNEL, stride=2, padding=_PADDING, bias=False) for a, b in itertools.pairwise(widths)
        )
        self.output = nn.ConvTranspose1d(widths[-1], channels, _KERNEL, stride=2, padding=_PADDING)
        for layer in (self.input, *self.steps, self.output):
            nn.init.normal_(layer.weight, 0.0, 0.02)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map float32[m, z_dim] and int64[m] labels to standardized series, float32[m, length, channels]."""
        h = self.input(append_one_hot(z, label, self.classes)).view(-1, *self.start)
        for norm, step in zip(self.norms, self.steps, strict=False):
            h = step(functional.relu(norm(h)))
        series: Tensor = self.output(functional.relu(self.norms[-1](h)))
        return series[:, :, : self.length].transpose(1, 2)


class SequenceD(ProjectionDiscriminator):
    """One-dimensional strided convolutions -> logit.

    Args:
        config: `width`, the number of channels at half the length, and `spectral_norm`.
        shape: (length, channels) of the series.
        classes: Number of classes; 0 without labels.
    """

    def __init__(self, config: SequenceDiscriminator, shape: tuple[int, int], classes: int) -> None:
        length, channels = shape
        count = num_downsamples(length, _MAX_START_LENGTH)
        widths = [channels, *layer_widths(config.width, config.max_width, count)]
        last = -(-length // 2**count)
        convolutions = [nn.Conv1d(a, b, _KERNEL, stride=2, padding=_PADDING) for a, b in itertools.pairwise(widths)]
        super().__init__(convolutions, widths[-1] * last, classes, config.spectral_norm)
        self.pad = 2**count * last - length

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Map standardized series, float32[m, length, channels], and int64[m] labels to logits, float32[m]."""
        return self.logits(functional.pad(x.transpose(1, 2), (0, self.pad)), label)

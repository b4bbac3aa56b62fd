"""A pair of one-dimensional convolutional networks for series, after WaveGAN (Donahue et al., 2019).

D halves the length, rounding up, until it is at most 8, doubling the channels each time; G runs the other way. Where a length
is no multiple of the shortest one, G makes a little more and crops, and D pads with zeros, the mean of standardised series.
"""

import itertools

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from seedmint.training.networks.halvings import halvings
from seedmint.training.networks.norm import BatchNorm1d
from seedmint.training.networks.paper import with_label
from seedmint.training.recipes.schema import SequenceDiscriminator, SequenceGenerator

SHORTEST = 8  # steps of a series

_START = 8  # the shortest length inside is at most this
_KERNEL, _PADDING = 8, 3  # with stride 2: exactly twice as long, or half
_SLOPE = 0.2


class SequenceG(nn.Module):
    """z (and one-hot label) -> short series of many channels -> transposed convolutions -> linear output.

    Args:
        config: `width`, the channels at half the length.
        z_dim: length of z.
        shape: (length, channels) of the series.
        classes: number of classes; 0 without labels.
    """

    def __init__(self, config: SequenceGenerator, z_dim: int, shape: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.length, channels = shape
        self.classes = classes
        count = halvings(self.length, _START)
        widths = [config.width * 2**i for i in reversed(range(count))]
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
        h = self.input(with_label(z, label, self.classes)).view(-1, *self.start)
        for norm, step in zip(self.norms, self.steps, strict=False):
            h = step(functional.relu(norm(h)))
        series: Tensor = self.output(functional.relu(self.norms[-1](h)))
        return series[:, :, : self.length].transpose(1, 2)


class SequenceD(nn.Module):
    """Strided convolutions -> features -> logit, plus the projection of the features on the label's vector.

    Arguments as for `SequenceG`. Projection: Miyato & Koyama, 2018; spectral normalisation: Miyato et al., 2018.
    """

    def __init__(self, config: SequenceDiscriminator, shape: tuple[int, int], classes: int) -> None:
        super().__init__()
        length, channels = shape
        count = halvings(length, _START)
        widths = [channels, *(config.width * 2**i for i in range(count))]
        last = -(-length // 2**count)
        self.steps = nn.ModuleList(nn.Conv1d(a, b, _KERNEL, stride=2, padding=_PADDING) for a, b in itertools.pairwise(widths))
        self.pad = 2**count * last - length
        self.output = nn.Linear(widths[-1] * last, 1)
        self.embedding = nn.Embedding(classes, widths[-1] * last) if classes else None
        for step in self.steps:
            assert isinstance(step, nn.Conv1d)
            nn.init.orthogonal_(step.weight)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, (widths[-1] * last) ** -0.5)
        if config.spectral_norm:
            for layer in (*self.steps, self.output, *([self.embedding] if self.embedding is not None else [])):
                spectral_norm(layer)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        h = functional.pad(x.transpose(1, 2), (0, self.pad))
        for step in self.steps:
            h = functional.leaky_relu(step(h), _SLOPE)
        h = h.flatten(1)
        logit: Tensor = self.output(h)[:, 0]
        if self.embedding is not None:
            logit = logit + (h * self.embedding(label)).sum(dim=1)
        return logit

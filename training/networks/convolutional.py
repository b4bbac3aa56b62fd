"""A convolutional pair for square images of 8 to 64 pixels, after DCGAN (Radford et al., 2016).

D halves the side, rounding up, until it is at most 7, doubling the channels each time; G runs the other way. Where a side is no
multiple of the smallest map's, G makes a little more and crops, and D pads.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from seedmint.training.networks.halvings import halvings
from seedmint.training.networks.norm import BatchNorm2d
from seedmint.training.recipes.schema import ConvolutionalDiscriminator, ConvolutionalGenerator

SMALLEST, LARGEST = 8, 64  # pixels a side

_START = 7  # the first map's side is at most this: 4 for 8, 32 and 64 pixels, 7 for 28
_SLOPE = 0.2


class ConditionalNorm(nn.Module):
    """Batch normalisation whose gain and bias depend on the label (de Vries et al., 2017); without labels, the plain kind.

    The label only shifts and scales what z has made, so that G cannot settle on one image a class by ignoring z, which it did
    within 1,000 steps on MNIST when the label joined z at the input.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = BatchNorm2d(width, affine=not classes)
        self.gain = nn.Embedding(classes, width) if classes else None
        self.bias = nn.Embedding(classes, width) if classes else None
        if self.gain is not None and self.bias is not None:
            nn.init.ones_(self.gain.weight)
            nn.init.zeros_(self.bias.weight)

    def forward(self, h: Tensor, label: Tensor | None) -> Tensor:
        h = self.norm(h)
        if self.gain is not None and self.bias is not None:
            h = h * self.gain(label)[:, :, None, None] + self.bias(label)[:, :, None, None]
        return h


class ConvolutionalG(nn.Module):
    """z -> small map of many channels -> transposed convolutions -> sigmoid; the label enters by `ConditionalNorm`.

    Args:
        config: `width`, the channels at half the image's side.
        z_dim: length of z.
        shape: (channels, side, side) of the images.
        classes: number of classes; 0 without labels.
    """

    def __init__(self, config: ConvolutionalGenerator, z_dim: int, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, self.side, _ = shape
        count = halvings(self.side, _START)
        widths = [config.width * 2**i for i in reversed(range(count))]
        self.start = (widths[0], -(-self.side // 2**count), -(-self.side // 2**count))
        self.input = nn.Linear(z_dim, self.start[0] * self.start[1] * self.start[2], bias=False)
        self.norms = nn.ModuleList(ConditionalNorm(width, classes) for width in widths)
        self.steps = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False) for a, b in itertools.pairwise(widths)
        )
        self.output = nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1)
        for layer in (self.input, *self.steps, self.output):
            nn.init.normal_(layer.weight, 0.0, 0.02)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        h = self.input(z).view(-1, *self.start)
        for norm, step in zip(self.norms, self.steps, strict=False):
            h = step(functional.relu(norm(h, label)))
        h = self.output(functional.relu(self.norms[-1](h, label)))
        return torch.sigmoid(h[:, :, : self.side, : self.side])


class ConvolutionalD(nn.Module):
    """Strided convolutions -> features -> logit, plus the projection of the features on the label's vector.

    Arguments as for `ConvolutionalG`. Spectral normalisation: Miyato et al., 2018.
    """

    def __init__(self, config: ConvolutionalDiscriminator, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, side, _ = shape
        count = halvings(side, _START)
        widths = [channels, *(config.width * 2**i for i in range(count))]
        last = -(-side // 2**count)
        features = widths[-1] * last * last
        self.steps = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in itertools.pairwise(widths))
        self.pad = 2**count * last - side
        self.output = nn.Linear(features, 1)
        self.embedding = nn.Embedding(classes, features) if classes else None
        for step in self.steps:
            assert isinstance(step, nn.Conv2d)
            nn.init.orthogonal_(step.weight)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, features**-0.5)
        if config.spectral_norm:
            for layer in (*self.steps, self.output, *([self.embedding] if self.embedding is not None else [])):
                spectral_norm(layer)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        h = functional.pad(2 * x - 1, (0, self.pad, 0, self.pad), value=-1.0) if self.pad else 2 * x - 1
        for step in self.steps:
            h = functional.leaky_relu(step(h), _SLOPE)
        h = h.flatten(1)
        logit: Tensor = self.output(h)[:, 0]
        if self.embedding is not None:
            logit = logit + (h * self.embedding(label)).sum(dim=1)
        return logit

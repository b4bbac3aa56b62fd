"""A residual generator and discriminator for images of 8 to 512 pixels a side, after R3GAN (Huang et al., 2024).

No layer uses statistics of the minibatch, so each image depends only on its own z and label. G enlarges feature maps with
bilinear interpolation, which leaves no checkerboard, and D reduces them by average pooling. Both halve each side until it is at
most 7, so the sides may differ. D pads images whose sides are not multiples of the smallest feature map's, and G crops them.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from seedmint.training.networks.downsampling import layer_widths, num_downsamples
from seedmint.training.networks.label_scale import label_embeddings, scale_and_shift
from seedmint.training.networks.memory_format import use_channels_last
from seedmint.training.recipes.networks import ResidualDiscriminator, ResidualGenerator, ResidualSize

MIN_SIDE, MAX_SIDE = 8, 512
"""Smallest and largest side of an image, pixels."""

_MAX_START_SIDE = 7
_NEGATIVE_SLOPE = 0.2


class Plan:
    """The sizes and channels of the feature maps, from the full size to the smallest.

    Args:
        size: Channels and their limit.
        height: Height of the images, pixels.
        width: Width of the images, pixels.

    Attributes:
        widths: Channels at each size.
        factors: Between two sizes, the factors (1 or 2) of height and width.
        start: Height and width of the smallest feature map.
        canvas: Height and width of the largest feature map: at least those of the image.
    """

    def __init__(self, size: ResidualSize, height: int, width: int) -> None:
        halvings = num_downsamples(height, _MAX_START_SIDE), num_downsamples(width, _MAX_START_SIDE)
        levels = max(halvings)
        self.widths = layer_widths(size.width, size.max_width, levels + 1)
        self.factors = [(2 if i < halvings[0] else 1, 2 if i < halvings[1] else 1) for i in range(levels)]
        self.start = -(-height // 2 ** halvings[0]), -(-width // 2 ** halvings[1])
        self.canvas = self.start[0] * 2 ** halvings[0], self.start[1] * 2 ** halvings[1]


class _Block(nn.Module):
    """h + W2 leaky(W1 h): a 3x3 convolution, a leaky ReLU and a 1x1 convolution.

    W2 starts at zero (Zhang et al., 2019), except with spectral normalization, which divides W2 by its largest singular value.
    """

    def __init__(self, width: int, starts_at_zero: bool = True) -> None:
        super().__init__()
        self.mix, self.output = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1, bias=False)
        _initialize(self.mix)
        _initialize(self.output)
        if starts_at_zero:
            nn.init.zeros_(self.output.weight)

    def forward(self, h: Tensor) -> Tensor:
        mixed: Tensor = h + self.output(functional.leaky_relu(self.mix(h), _NEGATIVE_SLOPE))
        return mixed


class _LabelScale(nn.Module):
    """Scales and shifts features by embeddings of the label; does nothing without labels."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.gain, self.bias = label_embeddings(width, classes)

    def forward(self, h: Tensor, label: Tensor | None) -> Tensor:
        return scale_and_shift(h, self.gain, self.bias, label)


class ResidualG(nn.Module):
    """z -> smallest feature map -> residual blocks, enlarged between the sizes -> sigmoid.

    Args:
        config: Size of the network.
        z_dim: Length of z.
        shape: (channels, height, width) of the images.
        classes: Number of classes; 0 without labels.
    """

    def __init__(self, config: ResidualGenerator, z_dim: int, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        plan = Plan(config.size, self.height, self.width)
        widths = plan.widths[::-1]
        self.factors, self.start = plan.factors[::-1], (widths[0], *plan.start)
        self.input = nn.Linear(z_dim, math.prod(self.start))
        self.labels = nn.ModuleList(_LabelScale(width, classes) for width in widths)
        self.levels = nn.ModuleList(nn.Sequential(*(_Block(width) for _ in range(config.size.blocks))) for width in widths)
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in itertools.pairwise(widths))
        self.output = nn.Conv2d(widths[-1], channels, 3, padding=1)
        for layer in (self.input, *self.narrow, self.output):
            _initialize(layer)
        use_channels_last(self)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map float32[m, z_dim] and int64[m] labels to float32[m, channels, height, width] in [0, 1]."""
        h = self.input(z).view(-1, *self.start)
        h = self.levels[0](self.labels[0](h, label))
        for narrow, factors, scale, level in zip(self.narrow, self.factors, self.labels[1:], self.levels[1:], strict=True):
            h = functional.interpolate(narrow(h), scale_factor=factors, mode="bilinear", align_corners=False)
            h = level(scale(h, label))
        h = self.output(functional.leaky_relu(h, _NEGATIVE_SLOPE))
        return torch.sigmoid(h[:, :, : self.height, : self.width])


class ResidualD(nn.Module):
    """Residual blocks, reduced between the sizes -> weighted sums over the smallest feature map -> logit.

    The label enters through the projection of the features on its embedding (Miyato & Koyama, 2018, equation 3).

    Args:
        config: Size of the network, and `spectral_norm`.
        shape: (channels, height, width) of the images.
        classes: Number of classes; 0 without labels.
    """

    def __init__(self, config: ResidualDiscriminator, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        plan = Plan(config.size, height, width)
        widths, last = plan.widths, plan.widths[-1]
        self.factors = plan.factors
        self.padding = (0, plan.canvas[1] - width, 0, plan.canvas[0] - height)
        self.input = nn.Conv2d(channels, widths[0], 3, padding=1)
        blocks, starts_at_zero = config.size.blocks, not config.spectral_norm
        self.levels = nn.ModuleList(nn.Sequential(*(_Block(width, starts_at_zero) for _ in range(blocks))) for width in widths)
        self.widen = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in itertools.pairwise(widths))
        self.summary = nn.Linear(last * math.prod(plan.start), last)
        self.output = nn.Linear(last, 1)
        self.embedding = nn.Embedding(classes, last) if classes else None
        for layer in (self.input, *self.widen, self.summary, self.output):
            _initialize(layer)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, last**-0.5)
        if config.spectral_norm:
            for module in [module for module in self.modules() if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding)]:
                spectral_norm(module)
        use_channels_last(self)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Map float32[m, channels, height, width] in [0, 1] and int64[m] labels to logits, float32[m]."""
        h = 2 * x - 1
        if any(self.padding):
            h = functional.pad(h, self.padding, value=-1.0)
        h = self.levels[0](self.input(h))
        for widen, factors, level in zip(self.widen, self.factors, self.levels[1:], strict=True):
            h = level(widen(functional.avg_pool2d(h, factors)))
        h = functional.leaky_relu(self.summary(functional.leaky_relu(h, _NEGATIVE_SLOPE).flatten(1)), _NEGATIVE_SLOPE)
        logits: Tensor = self.output(h)[:, 0]
        if self.embedding is not None:
            logits = logits + (h * self.embedding(label)).sum(dim=1)
        return logits


def _initialize(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    nn.init.normal_(layer.weight, 0.0, layer.weight[0].numel() ** -0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)

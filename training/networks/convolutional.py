"""A convolutional generator and discriminator for square images of 8 to 128 pixels, after DCGAN (Radford et al., 2016).

D halves the side, rounding up, until the side is at most 7, and doubles the channels each time. G runs in the other direction.
If the side is not a multiple of the smallest feature map's side, D pads its input and G crops its output.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from seedmint.training.networks.batch_norm import BatchNorm2d
from seedmint.training.networks.downsampling import layer_widths, num_downsamples
from seedmint.training.networks.label_scale import label_embeddings, scale_and_shift
from seedmint.training.networks.memory_format import use_channels_last
from seedmint.training.networks.projection import ProjectionDiscriminator
from seedmint.training.recipes.networks import ConvolutionalDiscriminator, ConvolutionalGenerator

MIN_SIDE, MAX_SIDE = 8, 128
"""Smallest and largest side of an image, pixels."""

_MAX_START_SIDE = 7  # largest side of the smallest feature map: 4 for images of 8, 32, 64 and 128 pixels, 7 for 28
_STYLE_STD = 0.5  # standard deviation of the styles' part of a gain at the start, for styles of unit variance
_NEGATIVE_SLOPE = 0.2


class ConditionalBatchNorm(nn.Module):
    """Batch normalization whose gain and bias depend on the label and on the style; plain without both.

    Args:
        width: Number of channels.
        classes: Number of classes; 0 without labels.
        style_dim: Length of the style; 0 without style.
    """

    def __init__(self, width: int, classes: int, style_dim: int = 0) -> None:
        super().__init__()
        self.norm = BatchNorm2d(width, affine=not (classes or style_dim))
        self.gain, self.bias = label_embeddings(width, classes)
        self.style = nn.Linear(style_dim, 2 * width) if style_dim else None
        if self.style is not None:
            nn.init.normal_(self.style.weight, 0.0, _STYLE_STD * style_dim**-0.5)
            nn.init.zeros_(self.style.bias)
            if not classes:
                nn.init.ones_(self.style.bias[:width])

    def forward(self, h: Tensor, label: Tensor | None, style: Tensor | None) -> Tensor:
        """Normalize float32[m, width, height, width] features of int64[m] labels and float32[m, style_dim] styles."""
        h = self.norm(h)
        if self.style is None:
            return scale_and_shift(h, self.gain, self.bias, label)
        gain, bias = self.style(style).chunk(2, dim=1)
        if self.gain is not None and self.bias is not None:
            gain, bias = gain + self.gain(label), bias + self.bias(label)
        styled: Tensor = h * gain[:, :, None, None] + bias[:, :, None, None]
        return styled


class ConvolutionalG(nn.Module):
    """z -> small feature map -> convolutions that enlarge -> sigmoid. The label enters through `ConditionalBatchNorm`.

    With `upsampling: transposed`, transposed convolutions double the side, the last of them to the image. With `bilinear`, 3x3
    convolutions and the normalization work before the interpolation, where the map is small, and ReLU works after it, so that
    edges are sharp; a 3x3 convolution at the full side makes the image.

    With `style_dim`, a linear layer with a leaky ReLU maps z to a style. The style and the label scale and shift the features
    of each layer (self-modulation; Chen et al., 2019), so that z can change a color without a change of the shape.

    Args:
        config: `width`, the number of channels at half the image's side, `upsampling` and `style_dim`.
        z_dim: Length of z.
        shape: (channels, side, side) of the images.
        classes: Number of classes; 0 without labels.
    """

    def __init__(self, config: ConvolutionalGenerator, z_dim: int, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, self.side, _ = shape
        count = num_downsamples(self.side, _MAX_START_SIDE)
        widths = layer_widths(config.width, config.max_width, count)[::-1]
        self.start = (widths[0], -(-self.side // 2**count), -(-self.side // 2**count))
        self.is_bilinear = config.upsampling == "bilinear"
        if self.is_bilinear:
            widths = [*widths, max(1, widths[-1] // 2)]  # the feature map at the full side
        self.input = nn.Linear(z_dim, self.start[0] * self.start[1] * self.start[2], bias=False)
        self.mapping = nn.Linear(z_dim, config.style_dim) if config.style_dim else None
        self.norms = nn.ModuleList(ConditionalBatchNorm(width, classes, config.style_dim) for width in widths)
        self.steps = nn.ModuleList(self._step(a, b) for a, b in itertools.pairwise(widths))
        if self.is_bilinear:
            self.output: nn.Module = nn.Conv2d(widths[-1], channels, 3, padding=1)
        else:
            self.output = nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1)
        for layer in (self.input, *self.steps, self.output):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        if self.is_bilinear:
            use_channels_last(self)

    def _step(self, width: int, new_width: int) -> nn.Module:
        if self.is_bilinear:
            return nn.Conv2d(width, new_width, 3, padding=1, bias=False)
        return nn.ConvTranspose2d(width, new_width, 4, stride=2, padding=1, bias=False)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map float32[m, z_dim] and int64[m] labels to float32[m, channels, side, side] in [0, 1]."""
        style = None if self.mapping is None else functional.leaky_relu(self.mapping(z), _NEGATIVE_SLOPE)
        h = functional.relu(self.norms[0](self.input(z).view(-1, *self.start), label, style))
        for norm, step in zip(self.norms[1:], self.steps, strict=True):
            h = norm(step(h), label, style)
            if self.is_bilinear:
                h = functional.interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)
            h = functional.relu(h)
        h = self.output(h)
        return torch.sigmoid(h[:, :, : self.side, : self.side])


class ConvolutionalD(ProjectionDiscriminator):
    """Two-dimensional strided convolutions -> logit.

    Args:
        config: `width`, the number of channels at half the image's side, and `spectral_norm`.
        shape: (channels, side, side) of the images.
        classes: Number of classes; 0 without labels.
    """

    def __init__(self, config: ConvolutionalDiscriminator, shape: tuple[int, int, int], classes: int) -> None:
        channels, side, _ = shape
        count = num_downsamples(side, _MAX_START_SIDE)
        widths = [channels, *layer_widths(config.width, config.max_width, count)]
        last = -(-side // 2**count)
        convolutions = [nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in itertools.pairwise(widths)]
        super().__init__(convolutions, widths[-1] * last * last, classes, config.spectral_norm)
        self.pad = 2**count * last - side

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Map float32[m, channels, side, side] in [0, 1] and int64[m] labels to logits, float32[m]."""
        h = functional.pad(2 * x - 1, (0, self.pad, 0, self.pad), value=-1.0) if self.pad else 2 * x - 1
        return self.logits(h, label)

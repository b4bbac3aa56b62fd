"""A multilayer perceptron (MLP) generator and discriminator for samples: rows of a table, or flattened series.

The samples are standardized, so the output is linear. Labels are one-hot inputs next to z and x (Mirza & Osindero, 2014).
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from seedmint.training.networks.labels import append_one_hot
from seedmint.training.recipes.networks import MlpDiscriminator, MlpGenerator

_NEGATIVE_SLOPE = 0.2


class MlpG(nn.Module):
    """z -> ReLU layers -> linear output.

    Args:
        config: `width` and number of the hidden layers.
        z_dim: Length of z.
        shape: Shape of one sample.
        classes: Number of classes; 0 without labels.
    """

    def __init__(self, config: MlpGenerator, z_dim: int, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.shape, self.classes = shape, classes
        self.layers = _layers(z_dim + classes, config.width, config.layers, math.prod(shape), gain=2**0.5)

    @property
    def last(self) -> nn.Linear:
        """The output layer."""
        layer = self.layers[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map float32[m, z_dim] and int64[m] labels to standardized samples, float32[m, ...]."""
        h = append_one_hot(z, label, self.classes)
        for layer in self.layers[:-1]:
            h = functional.relu(layer(h))
        sample: Tensor = self.layers[-1](h)
        return sample.view(-1, *self.shape)


class MlpD(nn.Module):
    """x -> leaky ReLU layers -> logit.

    Args:
        config: `width` and number of the hidden layers, `octaves` and `spectral_norm`.
        shape: Shape of one sample.
        classes: Number of classes; 0 without labels.
    """

    def __init__(self, config: MlpDiscriminator, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.classes, self.octaves = classes, config.octaves
        gain = (2 / (1 + _NEGATIVE_SLOPE**2)) ** 0.5
        inputs = math.prod(shape) * (1 + 2 * config.octaves) + classes
        self.layers = _layers(inputs, config.width, config.layers, 1, gain)
        if config.spectral_norm:
            for layer in self.layers:
                spectral_norm(layer)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Map standardized samples, float32[m, ...], and int64[m] labels to logits, float32[m]."""
        h = append_one_hot(_with_octaves(x.flatten(1), self.octaves), label, self.classes)
        for layer in self.layers[:-1]:
            h = functional.leaky_relu(layer(h), _NEGATIVE_SLOPE)
        logits: Tensor = self.layers[-1](h)
        return logits[:, 0]


def _with_octaves(x: Tensor, octaves: int) -> Tensor:
    """Append sin(2^i x) / 2^(i/2) and cos(2^i x) / 2^(i/2), i from 1 to `octaves`: float32[m, n * (1 + 2 * octaves)].

    With equal amplitudes, the highest frequencies would dominate the gradients that G receives; with equal slopes, D would see
    the widths of narrow modes too late.
    """
    if not octaves:
        return x
    frequencies = torch.exp2(torch.arange(1, octaves + 1, device=x.device, dtype=x.dtype))
    phases, amplitudes = x[:, :, None] * frequencies, frequencies.rsqrt()
    return torch.cat([x, (phases.sin() * amplitudes).flatten(1), (phases.cos() * amplitudes).flatten(1)], dim=1)


def _layers(inputs: int, width: int, hidden: int, outputs: int, gain: float) -> nn.ModuleList:
    """Return linear layers with orthogonal initial weights (Saxe et al., 2014), which preserve the norm of the features."""
    sizes = [inputs, *[width] * hidden, outputs]
    layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
    for i, layer in enumerate(layers):
        assert isinstance(layer, nn.Linear)
        nn.init.orthogonal_(layer.weight, gain if i < hidden else 1.0)
        nn.init.zeros_(layer.bias)
    return layers

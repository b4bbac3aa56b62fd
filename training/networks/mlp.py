"""A pair of plain multilayer perceptrons for samples: rows of numbers, or series taken as such.

Samples are standardised, so that the output is linear. Labels, where there are any, join z and x as one-hot vectors (Mirza &
Osindero, 2014).
"""

import itertools
import math

from torch import Tensor, nn
from torch.nn import functional

from seedmint.training.networks.paper import with_label
from seedmint.training.recipes.schema import MlpDiscriminator, MlpGenerator

_SLOPE = 0.2


class MlpG(nn.Module):
    """z -> ReLU layers -> linear.

    Args:
        config: `width` and number of the hidden layers.
        z_dim: length of z.
        shape: of a sample.
        classes: number of classes; 0 without labels.
    """

    def __init__(self, config: MlpGenerator, z_dim: int, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.shape, self.classes = shape, classes
        self.layers = _layers(z_dim + classes, config.width, config.layers, math.prod(shape), gain=2**0.5)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        h = with_label(z, label, self.classes)
        for layer in self.layers[:-1]:
            h = functional.relu(layer(h))
        sample: Tensor = self.layers[-1](h)
        return sample.view(-1, *self.shape)


class MlpD(nn.Module):
    """x -> leaky ReLU layers -> logit. Arguments as for `MlpG`."""

    def __init__(self, config: MlpDiscriminator, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.classes = classes
        gain = (2 / (1 + _SLOPE**2)) ** 0.5
        self.layers = _layers(math.prod(shape) + classes, config.width, config.layers, 1, gain)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        h = with_label(x.flatten(1), label, self.classes)
        for layer in self.layers[:-1]:
            h = functional.leaky_relu(layer(h), _SLOPE)
        logit: Tensor = self.layers[-1](h)
        return logit[:, 0]


def _layers(inputs: int, width: int, hidden: int, outputs: int, gain: float) -> nn.ModuleList:
    """Orthogonal initial weights (Saxe et al., 2014), which keep the size of what goes through them."""
    sizes = [inputs, *[width] * hidden, outputs]
    layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
    for i, layer in enumerate(layers):
        assert isinstance(layer, nn.Linear)
        nn.init.orthogonal_(layer.weight, gain if i < hidden else 1.0)
        nn.init.zeros_(layer.bias)
    return layers

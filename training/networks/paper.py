"""The networks of the paper's MNIST experiment (Goodfellow et al., 2014, section 5; goodfeli/adversarial, mnist.yaml).

Labels are one-hot inputs next to z and x (Mirza & Osindero, 2014).
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from seedmint.training.networks.labels import append_one_hot
from seedmint.training.networks.linear import Linear
from seedmint.training.optimization import distributed
from seedmint.training.recipes.networks import PaperDiscriminator, PaperGenerator


class PaperG(nn.Module):
    """z -> ReLU layers -> sigmoid.

    Args:
        config: Width, number and initial weights of the layers.
        z_dim: Length of z.
        shape: (channels, height, width) of the images.
        classes: Number of classes; 0 without labels.
        marginals: float32[channels, height, width], the mean image of the data in [0, 1], which sets the initial output bias.
    """

    def __init__(
        self, config: PaperGenerator, z_dim: int, shape: tuple[int, int, int], classes: int, marginals: Tensor
    ) -> None:
        super().__init__()
        self.shape, self.classes = shape, classes
        sizes = [z_dim + classes, *[config.width] * config.layers, marginals.numel()]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(sizes))
        _initialize_uniform(self.layers, config.init)
        output = self.layers[-1]
        assert isinstance(output, nn.Linear)
        with torch.no_grad():
            output.bias.copy_(torch.logit(marginals.flatten(), eps=1e-4))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map float32[m, z_dim] and int64[m] labels to float32[m, channels, height, width] in [0, 1]."""
        h = append_one_hot(z, label, self.classes)
        for layer in self.layers[:-1]:
            h = functional.relu(layer(h))
        return torch.sigmoid(self.layers[-1](h)).view(-1, *self.shape)


class PaperD(nn.Module):
    """Maxout layers (Goodfellow et al., 2013) with dropout -> logit.

    Args:
        config: Width, number, pieces, dropout and initial weights of the layers.
        shape: (channels, height, width) of the images.
        classes: Number of classes; 0 without labels.
    """

    def __init__(self, config: PaperDiscriminator, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.config, self.classes = config, classes
        pixels = shape[0] * shape[1] * shape[2]
        sizes = [pixels + classes, *[config.width] * config.layers]
        self.layers = nn.ModuleList(Linear(a, b * config.pieces) for a, b in itertools.pairwise(sizes))
        self.output = nn.Linear(config.width, 1)
        _initialize_uniform([*self.layers, self.output], config.init)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Map float32[m, channels, height, width] in [0, 1] and int64[m] labels to logits, float32[m]."""
        h = append_one_hot(x.flatten(1), label, self.classes)
        keep = self.config.keep_input
        for layer in self.layers:
            h = layer(distributed.dropout(h, 1 - keep, self.training))
            h = h.view(len(h), self.config.pieces, self.config.width).amax(dim=1)
            keep = self.config.keep_hidden
        logits: Tensor = self.output(distributed.dropout(h, 1 - keep, self.training))
        return logits[:, 0]


def _initialize_uniform(layers: "nn.ModuleList | list[nn.Module]", bound: float) -> None:
    for layer in layers:
        assert isinstance(layer, nn.Linear)
        nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.zeros_(layer.bias)

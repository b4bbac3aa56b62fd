"""The networks of the paper's MNIST experiment (Goodfellow et al., 2014, section 5; goodfeli/adversarial, mnist.yaml).

Labels, where there are any, join z and x as one-hot vectors (Mirza & Osindero, 2014).
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from seedmint.training.networks.linear import Linear
from seedmint.training.optimization import distributed
from seedmint.training.recipes.schema import PaperDiscriminator, PaperGenerator


class PaperG(nn.Module):
    """z -> ReLU layers -> sigmoid.

    Args:
        config: widths and initial weights.
        z_dim: length of z.
        shape: (channels, height, width) of the images.
        classes: number of classes; 0 without labels.
        marginals: float32[channels, height, width], the data's mean image in [0, 1], from which the output bias starts.
    """

    def __init__(
        self, config: PaperGenerator, z_dim: int, shape: tuple[int, int, int], classes: int, marginals: Tensor
    ) -> None:
        super().__init__()
        self.shape, self.classes = shape, classes
        sizes = [z_dim + classes, *[config.width] * config.layers, marginals.numel()]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(sizes))
        _uniform(self.layers, config.init)
        output = self.layers[-1]
        assert isinstance(output, nn.Linear)
        with torch.no_grad():
            output.bias.copy_(torch.logit(marginals.flatten(), eps=1e-4))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        h = with_label(z, label, self.classes)
        for layer in self.layers[:-1]:
            h = functional.relu(layer(h))
        return torch.sigmoid(self.layers[-1](h)).view(-1, *self.shape)


class PaperD(nn.Module):
    """Maxout layers (Goodfellow et al., 2013) with dropout, then one logit. Arguments as for `PaperG`."""

    def __init__(self, config: PaperDiscriminator, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.config, self.classes = config, classes
        pixels = shape[0] * shape[1] * shape[2]
        sizes = [pixels + classes, *[config.width] * config.layers]
        self.layers = nn.ModuleList(Linear(a, b * config.pieces) for a, b in itertools.pairwise(sizes))
        self.output = nn.Linear(config.width, 1)
        _uniform([*self.layers, self.output], config.init)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        h = with_label(x.flatten(1), label, self.classes)
        keep = self.config.keep_input
        for layer in self.layers:
            h = layer(distributed.dropout(h, 1 - keep, self.training))
            h = h.view(len(h), self.config.pieces, self.config.width).amax(dim=1)
            keep = self.config.keep_hidden
        logit: Tensor = self.output(distributed.dropout(h, 1 - keep, self.training))
        return logit[:, 0]


def with_label(x: Tensor, label: Tensor | None, classes: int) -> Tensor:
    """x with the label as a one-hot vector behind it; x itself without labels. float32[m, d] -> float32[m, d + classes]."""
    if label is None:
        return x
    return torch.cat([x, functional.one_hot(label, classes).to(x.dtype)], dim=1)


def _uniform(layers: "nn.ModuleList | list[nn.Module]", bound: float) -> None:
    for layer in layers:
        assert isinstance(layer, nn.Linear)
        nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.zeros_(layer.bias)

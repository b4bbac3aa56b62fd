"""The game of the course, played by the training's own Algorithm 1 with the random numbers of the page."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.optimization.minibatches import Minibatches
from seedmint.training.optimization.optimizers import build_optimizer
from seedmint.training.recipes.optimizers import Adam, Momentum, Optimizers, RMSProp
from seedmint.training.recipes.schema import Recipe
from seedmint.training.theory.densities import Grid, density_of_map, mixture
from seedmint.training.theory.divergences import jsd, optimal_logits, value_by_quadrature

GRID = Grid(-8.0, 8.0, 320)
WIDTH, M, POINTS = 16, 64, 2048
GENERATOR, DISCRIMINATOR, DATA_SET, DATA, NOISE = range(1, 6)  # random streams


def uniforms(seed: int, stream: int, first: int, n: int, stride: int = 1) -> Tensor:
    """Return numbers first, first + stride, ... of a stream, uniform on (0, 1), float64[n]."""

    def mixed(x):
        x = (x ^ (x >> 16)) * 0x7FEB352D & 0xFFFFFFFF
        x = (x ^ (x >> 15)) * 0x846CA68B & 0xFFFFFFFF
        return x ^ (x >> 16)

    key = mixed(mixed(seed + 1) ^ stream)
    counters = np.arange(n, dtype=np.uint64) * np.uint64(stride) + np.uint64(first + key) & np.uint64(0xFFFFFFFF)
    return torch.from_numpy((mixed(counters).astype(np.float64) + 0.5) / 2**32)


def prior(name: str, u: Tensor) -> Tensor:
    return torch.special.ndtri(u) if name == "normal" else math.sqrt(3) * (2 * u - 1)


@dataclass
class Settings:
    """Settings of the page; `rates` are those of D and G, and `n` is 0 without a limit of the data."""

    weights: list[float] = field(default_factory=lambda: [0.65, 0.35])
    means: list[float] = field(default_factory=lambda: [1.92, 0.72])
    stds: list[float] = field(default_factory=lambda: [0.4, 0.6])
    start: float = -1.5
    generator: str = "network"
    objective: str = "minimax"
    rule: str = "adam"
    rates: tuple[float, float] = (0.01, 10**-2.75)
    k: int = 5
    j: int = 1
    prior: str = "normal"
    n: int = 0
    seed: int = 1

    @property
    def p_data(self):
        return mixture(self.weights, self.means, self.stds)


class CountedMinibatches(Minibatches):
    """Draws data and noise by counting."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.x, self.drawn_data, self.drawn_noise = settings, torch.empty(0), 0, 0
        self.examples = self.mixed(DATA_SET, 0, settings.n)

    def mixed(self, stream: int, first: int, n: int) -> Tensor:
        s = self.settings
        u, v = (uniforms(s.seed, stream, 2 * first + part, n, stride=2) for part in (0, 1))
        part = (u >= s.weights[0]).long()
        return torch.tensor(s.means)[part].double() + torch.tensor(s.stds, dtype=torch.float64)[part] * torch.special.ndtri(v)

    def data(self, index: int) -> tuple[Tensor, None]:
        if self.settings.n:
            u = uniforms(self.settings.seed, DATA, 2 * self.drawn_data, M, stride=2)
            self.x = self.examples[(u * self.settings.n).long()]
        else:
            self.x = self.mixed(DATA, self.drawn_data, M)
        self.drawn_data += M
        return self.x, None

    def noise(self) -> Tensor:
        u = uniforms(self.settings.seed, NOISE, self.drawn_noise, M)
        self.drawn_noise += M
        return prior(self.settings.prior, u)

    def labels(self) -> None:
        return None


class Network(nn.Module):
    """The networks of the page: two hidden layers with SiLU, or a line; plus the input for `residual`."""

    def __init__(self, sizes: list[int], seed: int, stream: int, residual: bool = False) -> None:
        super().__init__()
        layers = [nn.Linear(a, b).double() for a, b in pairwise(sizes)]
        first = 0
        with torch.no_grad():
            for layer in layers:
                for parameter in (layer.weight, layer.bias):
                    u = uniforms(seed, stream, first, parameter.numel())
                    parameter.copy_(((2 * u - 1) / math.sqrt(layer.in_features)).reshape(parameter.shape))
                    first += parameter.numel()
        self.layers, self.residual = nn.ModuleList(layers), residual

    def forward(self, x: Tensor, label: None = None) -> Tensor:
        y = x[:, None]
        for i, layer in enumerate(self.layers):
            y = layer(nn.functional.silu(y) if i else y)
        return y[:, 0] + (x if self.residual else 0)


def play(settings: Settings, iterations: int) -> dict[str, Any]:
    """Play a game, and return what the page shows."""
    sizes = [1, WIDTH, WIDTH, 1]
    discriminator = Network(sizes, settings.seed, DISCRIMINATOR)
    network = settings.generator == "network"
    generator = Network(sizes if network else [1, 1], settings.seed, GENERATOR, residual=network)
    with torch.no_grad():
        discriminator.layers[0].weight.mul_(3)
        discriminator.layers[0].bias.mul_(3)
        if network:
            generator.layers[-1].weight.mul_(0.1)
            generator.layers[-1].bias.add_(settings.start - generator(torch.zeros(1, dtype=torch.float64))[0])
        else:
            generator.layers[0].weight.fill_(1.0)
            generator.layers[0].bias.fill_(settings.start)
    kinds = {
        "sgd": lambda rate: Momentum(kind="momentum", learning_rate=rate, momentum=0.0),
        "momentum": lambda rate: Momentum(kind="momentum", learning_rate=rate, momentum=0.9),
        "adam": lambda rate: Adam(kind="adam", learning_rate=rate),
        "rmsprop": lambda rate: RMSProp(kind="rmsprop", learning_rate=rate),
    }
    rules = [kinds[settings.rule](rate) for rate in settings.rates]
    recipe = Recipe.model_construct(
        seed=settings.seed,
        k=settings.k,
        m=M,
        objective=settings.objective,
        rule=Optimizers(discriminator=rules[0], generator=rules[1]),
    )
    minibatches = CountedMinibatches(settings)
    algorithm = Algorithm1(
        recipe=recipe,
        generator=generator,
        discriminator=discriminator,
        ema=None,
        generator_optimizer=build_optimizer(rules[1], generator.parameters()),
        discriminator_optimizer=build_optimizer(rules[0], discriminator.parameters()),
        minibatches=minibatches,
    )
    pairs = OBJECTIVES[settings.objective].uses_pairs
    for iteration in range(iterations):
        algorithm.iterate(iteration)
        for _ in range(settings.j - 1):  # the paper has one update of G
            algorithm.update_generator(minibatches.noise(), None, iteration, minibatches.x if pairs else None)
    return _shown(settings, generator, discriminator)


@torch.no_grad()
def _shown(settings: Settings, generator: nn.Module, discriminator: nn.Module) -> dict[str, Any]:
    positions = generator(prior(settings.prior, (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS))
    log_data, p_g = settings.p_data.log_prob(GRID.x), density_of_map(positions, GRID)
    outputs = discriminator(GRID.x)
    return {
        "pG": p_g,
        "d": outputs if settings.objective == "least-squares" else outputs.sigmoid(),
        "dStar": optimal_logits(log_data, p_g.log()).sigmoid(),
        "jsd": float(jsd(GRID, log_data, p_g.log())),
        "estimate": float(value_by_quadrature(GRID, log_data, p_g.log(), outputs) + math.log(4.0)) / 2,
        "mean": float(positions.mean()),
        "std": float(positions.std(correction=0)),
    }

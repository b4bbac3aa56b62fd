"""Figure 1 of the paper: p_data, p_g and D while Algorithm 1 trains G and D, next to D* = p_data / (p_data + p_g)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.optimization.minibatches import Minibatches, stream_seed
from seedmint.training.optimization.optimizers import build_optimizer
from seedmint.training.recipes.optimizers import Adam, Optimizers
from seedmint.training.recipes.schema import Recipe
from seedmint.training.theory.densities import Grid, density_of_map, mixture, normal_quantiles
from seedmint.training.theory.divergences import jsd, optimal_logits, value_by_quadrature
from seedmint.training.theory.small_networks import new_discriminator, new_generator

GRID = Grid(-12.0, 12.0, 1200)
_POINTS = 1 << 14  # of z, for the density of G(z)
_ARROWS = 25


class Draws(Minibatches):
    """Minibatches of a known density and of z, always fresh, in float64."""

    def __init__(self, p_data: Distribution, m: int) -> None:
        self._p_data, self._m = p_data, m

    def data(self, number: int) -> tuple[Tensor, None]:
        """float64[m], and no labels."""
        return self._p_data.sample((self._m,)), None

    def noise(self) -> Tensor:
        """float64[m], standard normal."""
        return torch.randn(self._m, dtype=torch.float64)

    def labels(self) -> None:
        """There are none."""


@dataclass(frozen=True)
class Snapshot:
    """Where training stands after `iteration` iterations; the curves are float64[cells] on `GRID`.

    Attributes:
        p_g, d, d_star: the density of G(z), D(x), and the best D for this p_g.
        z, x: float64[n], equally probable z and where G sends them.
        jsd: of p_data and p_g, by quadrature, in nats.
        estimate: (V(D, G) + log 4) / 2 for D as it is, by quadrature.
        distance: the root of the mean of (D - D*)² under (p_data + p_g) / 2.
    """

    iteration: int
    p_g: Tensor
    d: Tensor
    d_star: Tensor
    z: Tensor
    x: Tensor
    jsd: float
    estimate: float
    distance: float


@dataclass(frozen=True)
class Result:
    """`p_data`: float64[cells]; `shown`: the snapshots to draw; `all`: those, and others between them."""

    p_data: Tensor
    shown: list[Snapshot]
    all: list[Snapshot]

    @property
    def last(self) -> Snapshot:
        return self.all[-1]

    @property
    def centre(self) -> float:
        """D at the data's mean when training ends, which theorem 1 says is one half."""
        mean = GRID.integral(GRID.x * self.p_data)
        return float(self.last.d[int((GRID.x - mean).abs().argmin())])


def run(seed: int = 0, shown: tuple[int, ...] = (3, 15, 40, 1000), others: int = 60) -> Result:
    """Train by Algorithm 1, with equation 1 as printed, k = 5 and m = 256, until the last iteration in `shown`.

    Args:
        seed: of the initial weights and of all draws.
        shown: iterations after which to take the snapshots that are drawn.
        others: about how many more snapshots to take, spread evenly over the logarithm of the iteration.
    """
    p_data = mixture([0.65, 0.35], [1.5, 0.3], [0.4, 0.6])
    optimizers = Optimizers(
        generator=Adam(kind="adam", learning_rate=3e-4, decay=1.002),
        discriminator=Adam(kind="adam", learning_rate=1e-2, decay=1.0004),
    )
    # Networks and data are not a recipe's here: it holds what Algorithm 1 itself reads.
    recipe = Recipe.model_construct(seed=seed, k=5, m=256, objective="minimax", rule=optimizers)
    torch.manual_seed(stream_seed(seed, 1 << 40))  # a stream that no iteration has
    generator, discriminator = new_generator(-1.5), new_discriminator()
    algorithm = Algorithm1(
        recipe,
        generator,
        discriminator,
        None,
        build_optimizer(optimizers.generator, generator.parameters()),
        build_optimizer(optimizers.discriminator, discriminator.parameters()),
        Draws(p_data, recipe.m),
    )
    looked_at = {*shown, *(round(shown[-1] ** (i / others)) for i in range(others))}
    snapshots = []
    for done in range(1, shown[-1] + 1):
        algorithm.iterate(done - 1)
        if done in looked_at:
            snapshots.append(_snapshot(done, p_data, generator, discriminator))
    return Result(p_data.log_prob(GRID.x).exp(), [s for s in snapshots if s.iteration in shown], snapshots)


@torch.no_grad()
def _snapshot(iteration: int, p_data: Distribution, generator: nn.Module, discriminator: nn.Module) -> Snapshot:
    log_data = p_data.log_prob(GRID.x)
    p_g = density_of_map(generator(normal_quantiles(_POINTS)), GRID)
    logits = discriminator(GRID.x)
    d, d_star = logits.sigmoid(), optimal_logits(log_data, p_g.log()).sigmoid()
    z = normal_quantiles(_ARROWS)
    return Snapshot(
        iteration,
        p_g,
        d,
        d_star,
        z,
        generator(z),
        float(jsd(GRID, log_data, p_g.log())),
        float(value_by_quadrature(GRID, log_data, p_g.log(), logits) + math.log(4.0)) / 2,
        float(GRID.integral((log_data.exp() + p_g) / 2 * (d - d_star).square()).sqrt()),
    )

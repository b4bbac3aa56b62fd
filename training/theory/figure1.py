"""Figure 1 of the paper: p_data, p_g, D and D* = p_data / (p_data + p_g) during Algorithm 1."""

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
_NUM_POINTS = 1 << 14  # equally probable z, for the density of G(z)
_NUM_ARROWS = 25


class DensityMinibatches(Minibatches):
    """Draws minibatches of a known density and of z, in float64.

    Args:
        p_data: Density of the data.
        m: Minibatch size.
    """

    def __init__(self, p_data: Distribution, m: int) -> None:
        self._p_data, self._m = p_data, m

    def data(self, index: int) -> tuple[Tensor, None]:
        """Return float64[m] data, and None for the labels."""
        return self._p_data.sample((self._m,)), None

    def noise(self) -> Tensor:
        """Return float64[m] standard normal numbers."""
        return torch.randn(self._m, dtype=torch.float64)

    def labels(self) -> None:
        """Return None: there are no labels."""


@dataclass(frozen=True)
class Snapshot:
    """State of the training after `iteration` iterations.

    Attributes:
        iteration: Number of finished iterations.
        p_g: float64[cells] on `GRID`, density of G(z).
        d: float64[cells], D(x).
        d_star: float64[cells], the optimal D for this p_g.
        z: float64[n], equally probable z.
        x: float64[n], G(z).
        jsd: JSD of p_data and p_g by quadrature, in nats.
        estimate: (V(D, G) + log 4) / 2 of the current D, by quadrature.
        distance: Root mean square of D - D* under (p_data + p_g) / 2.
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
    """Result of the experiment.

    Attributes:
        p_data: float64[cells] on `GRID`.
        shown: The snapshots in the upper panels.
        all: All snapshots, including `shown`.
    """

    p_data: Tensor
    shown: list[Snapshot]
    all: list[Snapshot]

    @property
    def last(self) -> Snapshot:
        """The last snapshot."""
        return self.all[-1]

    @property
    def d_at_mean(self) -> float:
        """Final D at the mean of the data; theorem 1 predicts 1/2."""
        mean = GRID.integral(GRID.x * self.p_data)
        return float(self.last.d[int((GRID.x - mean).abs().argmin())])


def run(seed: int = 0, shown: tuple[int, ...] = (3, 15, 40, 1000), others: int = 60) -> Result:
    """Train with Algorithm 1, the minimax objective, k = 5 and m = 256, up to the last iteration in `shown`.

    Args:
        seed: Seed of the initial weights and of all draws.
        shown: Iterations of the snapshots in the upper panels.
        others: Approximate number of other snapshots, evenly spaced in the logarithm of the iteration.
    """
    p_data = mixture([0.65, 0.35], [1.5, 0.3], [0.4, 0.6])
    optimizers = Optimizers(
        generator=Adam(kind="adam", learning_rate=3e-4, decay=1.002),
        discriminator=Adam(kind="adam", learning_rate=1e-2, decay=1.0004),
    )
    # The recipe has only the fields that Algorithm 1 reads; the networks and the data are not from a recipe.
    recipe = Recipe.model_construct(seed=seed, k=5, m=256, objective="minimax", rule=optimizers)
    torch.manual_seed(stream_seed(seed, 1 << 40))  # a stream that no iteration uses
    generator, discriminator = new_generator(-1.5), new_discriminator()
    algorithm = Algorithm1(
        recipe,
        generator,
        discriminator,
        None,
        build_optimizer(optimizers.generator, generator.parameters()),
        build_optimizer(optimizers.discriminator, discriminator.parameters()),
        DensityMinibatches(p_data, recipe.m),
    )
    snapshot_iterations = {*shown, *(round(shown[-1] ** (i / others)) for i in range(others))}
    snapshots = []
    for done in range(1, shown[-1] + 1):
        algorithm.iterate(done - 1)
        if done in snapshot_iterations:
            snapshots.append(_snapshot(done, p_data, generator, discriminator))
    return Result(p_data.log_prob(GRID.x).exp(), [s for s in snapshots if s.iteration in shown], snapshots)


@torch.no_grad()
def _snapshot(iteration: int, p_data: Distribution, generator: nn.Module, discriminator: nn.Module) -> Snapshot:
    log_data = p_data.log_prob(GRID.x)
    p_g = density_of_map(generator(normal_quantiles(_NUM_POINTS)), GRID)
    logits = discriminator(GRID.x)
    d, d_star = logits.sigmoid(), optimal_logits(log_data, p_g.log()).sigmoid()
    z = normal_quantiles(_NUM_ARROWS)
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

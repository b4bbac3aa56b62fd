"""The Dirac-GAN (Mescheder et al., 2018): the smallest game that shows which objectives and penalties converge.

p_data is a point at 0, and p_g a point at theta. D(x) = psi x + bias, so D can only say on which side of 0 an example is. The
only solution is theta = 0. Algorithm 1 trains with plain gradient steps.
"""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.optimization.minibatches import Minibatches
from seedmint.training.optimization.optimizers import build_optimizer
from seedmint.training.recipes.optimizers import Momentum, Optimizers
from seedmint.training.recipes.penalties import Penalty
from seedmint.training.recipes.schema import Recipe

PENALTIES = {
    "none": Penalty(),
    "R1": Penalty(r1=1.0),
    "R2": Penalty(r2=1.0),
    "WGAN-GP": Penalty(wgan_gp=1.0),
}
_START = 1.0
_LEARNING_RATE = 0.1
_CONVERGED = 0.05  # of |theta| at the end


@dataclass(frozen=True)
class Result:
    """Result of the experiment.

    Attributes:
        paths: By objective and penalty: float64[iterations + 1, 2], theta and psi over the iterations.
    """

    paths: dict[tuple[str, str], Tensor]

    def distance(self, objective: str, penalty: str) -> float:
        """Return the largest |theta| in the last tenth of the iterations.

        Args:
            objective: Name of the objective.
            penalty: Name of the penalty.
        """
        theta = self.paths[objective, penalty][:, 0]
        return float(theta[-max(1, len(theta) // 10) :].abs().max())

    def converges(self, objective: str, penalty: str) -> bool:
        """Return whether theta stays near 0 in the last tenth of the iterations.

        Args:
            objective: Name of the objective.
            penalty: Name of the penalty.
        """
        return self.distance(objective, penalty) < _CONVERGED


class _Point(nn.Module):
    """G(z) = theta."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(_START, dtype=torch.float64))

    def forward(self, z: Tensor, label: None = None) -> Tensor:
        return self.theta.expand(len(z), 1)


class _Line(nn.Module):
    """D(x) = psi x + bias."""

    def __init__(self) -> None:
        super().__init__()
        self.psi, self.bias = (nn.Parameter(torch.tensor(0.0, dtype=torch.float64)) for _ in range(2))

    def forward(self, x: Tensor, label: None = None) -> Tensor:
        return self.psi * x[:, 0] + self.bias


class _Zeros(Minibatches):
    """Minibatches of the point at 0; the noise has no effect."""

    def __init__(self) -> None:
        """There is no data set."""

    def data(self, index: int) -> tuple[Tensor, None]:
        return torch.zeros(2, 1, dtype=torch.float64), None

    def noise(self) -> Tensor:
        return torch.zeros(2, 1, dtype=torch.float64)

    def labels(self) -> None:
        return None


def run(iterations: int = 300) -> Result:
    """Train with each objective and each penalty, from theta = 1 and psi = 0.

    Args:
        iterations: Number of iterations of Algorithm 1.
    """
    return Result({pair: _train(*pair, iterations) for pair in product(OBJECTIVES, PENALTIES)})


def _train(objective: str, penalty: str, iterations: int) -> Tensor:
    rule = Momentum(kind="momentum", learning_rate=_LEARNING_RATE, momentum=0.0)
    # The recipe has only the fields that Algorithm 1 reads; the networks and the data are not from a recipe.
    recipe = Recipe.model_construct(
        m=2, objective=objective, penalty=PENALTIES[penalty], rule=Optimizers(generator=rule, discriminator=rule)
    )
    generator, discriminator = _Point(), _Line()
    algorithm = Algorithm1(
        recipe=recipe,
        generator=generator,
        discriminator=discriminator,
        ema=None,
        generator_optimizer=build_optimizer(rule, generator.parameters()),
        discriminator_optimizer=build_optimizer(rule, discriminator.parameters()),
        minibatches=_Zeros(),
    )
    path = [(generator.theta.item(), discriminator.psi.item())]
    for iteration in range(iterations):
        algorithm.iterate(iteration)
        path.append((generator.theta.item(), discriminator.psi.item()))
    return torch.tensor(path, dtype=torch.float64)

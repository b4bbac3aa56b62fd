"""The generator's two losses: saturation early on, and what the flip descends.

Arjovsky & Bottou (2017, theorem 2.5): with D = D*, E[-grad log D*(G(z))] = grad [KL(p_g || p_data) - 2 JSD].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seedmint.training.objectives import EQUILIBRIUM_VALUE, GENERATOR_LOSSES
from seedmint.training.theory.affine import density, gradient
from seedmint.training.theory.densities import Grid, gaussian, mixture
from seedmint.training.theory.divergences import jsd, kl

GRID = Grid(-30.0, 30.0, 6000)
_P_DATA = mixture([0.6, 0.4], [-1.0, 1.5], [0.7, 0.5])
_STD = 0.8
_STEP = 1e-4  # of the finite differences


@dataclass(frozen=True)
class Result:
    """What was found.

    Attributes:
        d: float64[n] in (0, 1), values of D(G(z)).
        losses: name of the loss -> float64[n], its value there.
        slopes: name of the loss -> float64[n], its derivative by the logit of D(G(z)), by autograd.
        distances: float64[n], of the mean of p_g = N(-distance, 1) from that of p_data = N(0, 1).
        pulls: name of the loss -> float64[n], the derivative of its mean by the mean of p_g, with D = D*.
        means: float64[n], means of p_g = N(mean, 0.8) against a p_data of two modes.
        flipped, printed: float64[n, 2], gradients of the two losses by (mean, log std), by autograd, with D = D*.
        flipped_differences: float64[n, 2], gradients of KL(p_g || p_data) - 2 JSD by central differences of quadratures.
        printed_differences: float64[n, 2], those of V(G, D*) = -log 4 + 2 JSD.
        objective, divergence: float64[n], KL(p_g || p_data) - 2 JSD and JSD, in nats.
    """

    d: Tensor
    losses: dict[str, Tensor]
    slopes: dict[str, Tensor]
    distances: Tensor
    pulls: dict[str, Tensor]
    means: Tensor
    flipped: Tensor
    flipped_differences: Tensor
    printed: Tensor
    printed_differences: Tensor
    objective: Tensor
    divergence: Tensor

    @property
    def ratio_error(self) -> float:
        """The greatest relative difference of the ratio of the slopes, flip to print, from (1 - D) / D."""
        ratio = self.slopes["non-saturating"] / self.slopes["minimax"]
        expected = (1 - self.d) / self.d
        return float((ratio / expected - 1).abs().max())

    @property
    def flipped_error(self) -> float:
        return float((self.flipped - self.flipped_differences).abs().max())

    @property
    def printed_error(self) -> float:
        return float((self.printed - self.printed_differences).abs().max())

    def pull(self, objective: str, distance: float) -> float:
        return float(self.pulls[objective][int((self.distances - distance).abs().argmin())])


def run(points: int = 41) -> Result:
    """Everything by autograd through the losses that training uses, next to closed forms and quadrature.

    Args:
        points: means, and distances, to look at.
    """
    d = torch.linspace(0.005, 0.995, 199, dtype=torch.float64)
    losses, slopes = {}, {}
    for name, loss in GENERATOR_LOSSES.items():
        logits = torch.logit(d).requires_grad_()
        each = torch.stack([loss(logit) for logit in logits[:, None]])
        losses[name] = each.detach()
        (slopes[name],) = torch.autograd.grad(each.sum(), logits)
    distances = torch.linspace(0.0, 8.0, points, dtype=torch.float64)
    means = torch.linspace(-2.6, 2.8, points, dtype=torch.float64)
    thetas = torch.stack([means, torch.full_like(means, math.log(_STD))], dim=1)
    return Result(
        d,
        losses,
        slopes,
        distances,
        {name: torch.stack([_pull(name, distance) for distance in distances]) for name in GENERATOR_LOSSES},
        means,
        torch.stack([gradient(_P_DATA, theta, "non-saturating") for theta in thetas]),
        torch.stack([_differences(_flip, theta) for theta in thetas]),
        torch.stack([gradient(_P_DATA, theta, "minimax") for theta in thetas]),
        torch.stack([_differences(_value, theta) for theta in thetas]),
        torch.stack([_flip(theta) for theta in thetas]),
        torch.stack([(_value(theta) - EQUILIBRIUM_VALUE) / 2 for theta in thetas]),
    )


def _pull(objective: str, distance: Tensor) -> Tensor:
    theta = torch.stack([-distance, torch.zeros_like(distance)])
    return gradient(gaussian(0.0, 1.0), theta, objective)[0]


def _flip(theta: Tensor) -> Tensor:
    """KL(p_g || p_data) - 2 JSD."""
    log_data, log_g = _P_DATA.log_prob(GRID.x), density(theta).log_prob(GRID.x)
    return kl(GRID, log_g, log_data) - 2 * jsd(GRID, log_data, log_g)


def _value(theta: Tensor) -> Tensor:
    """V(G, D*) = -log 4 + 2 JSD."""
    return EQUILIBRIUM_VALUE + 2 * jsd(GRID, _P_DATA.log_prob(GRID.x), density(theta).log_prob(GRID.x))


def _differences(function: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    """The gradient by central differences."""
    steps = _STEP * torch.eye(len(theta), dtype=torch.float64)
    return torch.stack([(function(theta + step) - function(theta - step)) / (2 * _STEP) for step in steps])

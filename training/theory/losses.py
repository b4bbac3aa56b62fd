"""The generator's two losses: saturation of the minimax loss, and the divergence that the non-saturating loss descends.

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
    """Result of the experiment.

    Attributes:
        logits: float64[n], logits of D(G(z)).
        losses: Name of the loss -> float64[n], its value at `logits`.
        slopes: Name of the loss -> float64[n], its derivative by the logit of D(G(z)), by autograd.
        distances: float64[n], distances of the means of p_g = N(-distance, 1) and p_data = N(0, 1).
        gradients: Name of the loss -> float64[n], derivative of its mean by the mean of p_g, with D = D*.
        means: float64[n], means of p_g = N(mean, 0.8); p_data has two modes.
        non_saturating: float64[n, 2], gradients of the non-saturating loss by (mean, log std), by autograd, with D = D*.
        non_saturating_differences: float64[n, 2], gradients of KL(p_g || p_data) - 2 JSD by central differences.
        minimax: float64[n, 2], gradients of the minimax loss.
        minimax_differences: float64[n, 2], gradients of V(G, D*) = -log 4 + 2 JSD by central differences.
        objective: float64[n], KL(p_g || p_data) - 2 JSD, in nats.
        divergence: float64[n], JSD, in nats.
    """

    logits: Tensor
    losses: dict[str, Tensor]
    slopes: dict[str, Tensor]
    distances: Tensor
    gradients: dict[str, Tensor]
    means: Tensor
    non_saturating: Tensor
    non_saturating_differences: Tensor
    minimax: Tensor
    minimax_differences: Tensor
    objective: Tensor
    divergence: Tensor

    @property
    def ratio_error(self) -> float:
        """Largest relative difference between the ratio of the slopes, non-saturating to minimax, and (1 - D) / D."""
        ratio = self.slopes["non-saturating"] / self.slopes["minimax"]
        expected = (-self.logits).exp()  # (1 - D) / D
        return float((ratio / expected - 1).abs().max())

    @property
    def non_saturating_error(self) -> float:
        """Largest difference between the two gradients of the non-saturating loss."""
        return float((self.non_saturating - self.non_saturating_differences).abs().max())

    @property
    def minimax_error(self) -> float:
        """Largest difference between the two gradients of the minimax loss."""
        return float((self.minimax - self.minimax_differences).abs().max())

    def gradient_at(self, objective: str, distance: float) -> float:
        """Return the gradient of a loss at the distance nearest to `distance`."""
        return float(self.gradients[objective][int((self.distances - distance).abs().argmin())])


def run(points: int = 41) -> Result:
    """Compute gradients by autograd through the training's losses, and by quadrature.

    Args:
        points: Number of means and of distances.
    """
    line = torch.linspace(-8.0, 8.0, 161, dtype=torch.float64)
    losses, slopes = {}, {}
    for name, loss in GENERATOR_LOSSES.items():
        logits = line.clone().requires_grad_()
        values = torch.stack([loss(logit) for logit in logits[:, None]])
        losses[name] = values.detach()
        (slopes[name],) = torch.autograd.grad(values.sum(), logits)
    distances = torch.linspace(0.0, 8.0, points, dtype=torch.float64)
    means = torch.linspace(-2.6, 2.8, points, dtype=torch.float64)
    thetas = torch.stack([means, torch.full_like(means, math.log(_STD))], dim=1)
    return Result(
        line,
        losses,
        slopes,
        distances,
        {name: torch.stack([_mean_gradient(name, distance) for distance in distances]) for name in GENERATOR_LOSSES},
        means,
        torch.stack([gradient(_P_DATA, theta, "non-saturating") for theta in thetas]),
        torch.stack([_differences(_kl_minus_2_jsd, theta) for theta in thetas]),
        torch.stack([gradient(_P_DATA, theta, "minimax") for theta in thetas]),
        torch.stack([_differences(_value, theta) for theta in thetas]),
        torch.stack([_kl_minus_2_jsd(theta) for theta in thetas]),
        torch.stack([(_value(theta) - EQUILIBRIUM_VALUE) / 2 for theta in thetas]),
    )


def _mean_gradient(objective: str, distance: Tensor) -> Tensor:
    theta = torch.stack([-distance, torch.zeros_like(distance)])
    return gradient(gaussian(0.0, 1.0), theta, objective)[0]


def _kl_minus_2_jsd(theta: Tensor) -> Tensor:
    """Return KL(p_g || p_data) - 2 JSD."""
    log_data, log_g = _P_DATA.log_prob(GRID.x), density(theta).log_prob(GRID.x)
    return kl(GRID, log_g, log_data) - 2 * jsd(GRID, log_data, log_g)


def _value(theta: Tensor) -> Tensor:
    """Return V(G, D*) = -log 4 + 2 JSD."""
    return EQUILIBRIUM_VALUE + 2 * jsd(GRID, _P_DATA.log_prob(GRID.x), density(theta).log_prob(GRID.x))


def _differences(function: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    """Return the gradient by central differences."""
    steps = _STEP * torch.eye(len(theta), dtype=torch.float64)
    return torch.stack([(function(theta + step) - function(theta - step)) / (2 * _STEP) for step in steps])

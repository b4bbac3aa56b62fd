"""The generator G(z) = mean + std z with z standard normal, and its gradients with the optimal D.

The parameters are theta = (mean, log std), float64[2]. p_g is a Gaussian, so D* is known exactly.
"""

import torch
from torch import Tensor
from torch.distributions import Distribution

from seedmint.training.objectives import GENERATOR_LOSSES
from seedmint.training.theory.densities import Grid, gaussian
from seedmint.training.theory.divergences import optimal_logits

_Z_GRID = Grid(-12.0, 12.0, 1 << 12)
"""Of the expectation over z. It includes the tail of z that gives the minimax gradient far from the data."""


def density(theta: Tensor) -> Distribution:
    """Return p_g.

    Args:
        theta: float64[2].
    """
    return gaussian(theta[0], theta[1].exp())


def gradient(p_data: Distribution, theta: Tensor, objective: str) -> Tensor:
    """Return the gradient of the generator's loss in theta, with D* of this theta held fixed.

    Args:
        p_data: Density of the data.
        theta: float64[2].
        objective: `minimax` or `non-saturating`.

    Returns:
        float64[2], the expectation over z by quadrature.
    """
    z = _Z_GRID.x
    fixed = density(theta.detach())
    parameters = theta.detach().clone().requires_grad_()
    x = parameters[0] + parameters[1].exp() * z
    logits = optimal_logits(p_data.log_prob(x), fixed.log_prob(x))
    leaves = logits.detach().requires_grad_()
    (slopes,) = torch.autograd.grad(
        len(z) * GENERATOR_LOSSES[objective](leaves), leaves
    )  # of the loss of each point, by its logit
    p_z = gaussian(0.0, 1.0).log_prob(z).exp()
    (result,) = torch.autograd.grad(_Z_GRID.integral(p_z * slopes * logits), parameters)
    return result

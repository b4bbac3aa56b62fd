"""The generator G(z) = mean + std z with z standard normal, and its gradients with the optimal D.

The parameters are theta = (mean, log std), float64[2]. p_g is a Gaussian, so D* is known exactly.
"""

import torch
from torch import Tensor
from torch.distributions import Distribution

from seedmint.training.objectives import GENERATOR_LOSSES
from seedmint.training.theory.densities import gaussian, normal_quantiles
from seedmint.training.theory.divergences import optimal_logits

_Z = normal_quantiles(1 << 14)


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
        float64[2], the mean over 16,384 equally probable z.
    """
    fixed = density(theta.detach())
    parameters = theta.detach().clone().requires_grad_()
    x = parameters[0] + parameters[1].exp() * _Z
    loss = GENERATOR_LOSSES[objective](optimal_logits(p_data.log_prob(x), fixed.log_prob(x)))
    (result,) = torch.autograd.grad(loss, parameters)
    return result

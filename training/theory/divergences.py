"""Divergences between densities by quadrature, in nats.

The arguments log_p and log_q are float64[cells], logarithms of densities on a grid, and minus infinity where a density is zero.
Each function returns float64[].
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from seedmint.training.theory.densities import Grid


def kl(grid: Grid, log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p || q), the integral of p (log p - log q); infinite if q is zero where p is not."""
    return grid.integral(_weighted_log_ratio(log_p, log_q))


def jsd(grid: Grid, log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence, (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2; 0 to log 2."""
    log_m = torch.logaddexp(log_p, log_q) - math.log(2.0)
    return (kl(grid, log_p, log_m) + kl(grid, log_q, log_m)) / 2


def wasserstein(grid: Grid, log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return the Wasserstein-1 distance, the integral of |F_p - F_q| over the distribution functions."""
    cumulative = grid.width * (log_p.exp() - log_q.exp()).cumsum(0)
    return grid.integral((cumulative - grid.width * (log_p.exp() - log_q.exp()) / 2).abs())


def value_by_quadrature(grid: Grid, log_p: Tensor, log_q: Tensor, logits: Tensor) -> Tensor:
    """Return V(D, G) = ∫ p_data log D + p_g log(1 - D) (equation 3), where log_p is log p_data and log_q is log p_g.

    Args:
        grid: The grid.
        log_p: float64[cells], log p_data.
        log_q: float64[cells], log p_g.
        logits: float64[cells], logits of D.
    """
    return -grid.integral(log_p.exp() * softplus(-logits) + log_q.exp() * softplus(logits))


def optimal_logits(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return logit D* = log p_data - log p_g, float64[cells]; D* = p_data / (p_data + p_g) (proposition 1)."""
    return log_p - log_q


def _weighted_log_ratio(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return p (log p - log q), and 0 where p is 0."""
    has_mass = log_p > -math.inf
    finite = torch.where(has_mass, log_p, 0.0)
    return torch.where(has_mass, finite.exp() * (finite - log_q), 0.0)

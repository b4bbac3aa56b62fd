"""Divergences between densities by quadrature, in nats, from their logarithms on a grid.

With log p and log q float64[cells], each returns float64[]. Where a density is zero its logarithm is minus infinity.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from seedmint.training.theory.densities import Grid


def kl(grid: Grid, log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q), the integral of p (log p - log q); infinite where q is zero and p is not."""
    return grid.integral(_where_mass(log_p, log_q))


def jsd(grid: Grid, log_p: Tensor, log_q: Tensor) -> Tensor:
    """The Jensen-Shannon divergence: half of KL(p || m) + KL(q || m), with m = (p + q) / 2. From 0 to log 2."""
    log_m = torch.logaddexp(log_p, log_q) - math.log(2.0)
    return (kl(grid, log_p, log_m) + kl(grid, log_q, log_m)) / 2


def wasserstein(grid: Grid, log_p: Tensor, log_q: Tensor) -> Tensor:
    """The Wasserstein-1 distance, the integral of the difference of the two cumulative distributions."""
    cumulative = grid.width * (log_p.exp() - log_q.exp()).cumsum(0)
    return grid.integral((cumulative - grid.width * (log_p.exp() - log_q.exp()) / 2).abs())


def value_by_quadrature(grid: Grid, log_p: Tensor, log_q: Tensor, logits: Tensor) -> Tensor:
    """V(D, G) = ∫ p_data log D + p_g log(1 - D) (equation 3) of the D with these float64[cells] logits."""
    return -grid.integral(log_p.exp() * softplus(-logits) + log_q.exp() * softplus(logits))


def optimal_logits(log_p: Tensor, log_q: Tensor) -> Tensor:
    """logit D* = log p_data - log p_g, that is D* = p_data / (p_data + p_g) (proposition 1)."""
    return log_p - log_q


def _where_mass(log_p: Tensor, log_q: Tensor) -> Tensor:
    """p (log p - log q), and 0 where p is 0."""
    massive = log_p > -math.inf
    finite = torch.where(massive, log_p, 0.0)
    return torch.where(massive, finite.exp() * (finite - log_q), 0.0)

"""Disjoint supports: the JSD is log 2 however far apart they are, D can be perfect, and G learns nothing from it.

p_data is uniform on [0, 1] and p_g on [theta, theta + 1], in the spirit of Arjovsky & Bottou (2017) and of example 1 of
Arjovsky et al. (2017). They overlap on a stretch of length 1 - |theta|, so that JSD = |theta| log 2 up to theta = 1, and log 2
from there on.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seedmint.training.objectives import GENERATOR_LOSSES
from seedmint.training.optimization.minibatches import stream_seed
from seedmint.training.theory.densities import Grid, uniform
from seedmint.training.theory.divergences import jsd, value_by_quadrature, wasserstein
from seedmint.training.theory.small_networks import ascend, new_discriminator

GRID = Grid(-2.0, 6.0, 1600)  # cells of 1/200, so that all supports end where cells do


@dataclass(frozen=True)
class Trained:
    """D trained for one theta; divergences in nats.

    Attributes:
        theta: how far p_g is shifted.
        jsd, wasserstein: by quadrature.
        estimate: (V + log 4) / 2 of the trained D, by quadrature.
        accuracy: the share of p_data and p_g on the right side of D = 1/2, when training ends.
        counts: D-steps at which the gradients were taken.
        pulls: name of the loss -> the derivative of its mean by theta, at each of `counts`.
    """

    theta: float
    jsd: float
    wasserstein: float
    estimate: float
    accuracy: float
    counts: list[int]
    pulls: dict[str, list[float]]


@dataclass(frozen=True)
class Result:
    """`jsd` and `wasserstein`: float64[n] at `thetas`, by quadrature; `trained`: D at a few of them."""

    thetas: Tensor
    jsd: Tensor
    wasserstein: Tensor
    trained: list[Trained]


def run(seed: int = 0, thetas: tuple[float, ...] = (0.25, 0.5, 1.5, 2.5, 4.0), steps: int = 1000, m: int = 256) -> Result:
    """Train a new D for each theta, looking at G's gradients on the way.

    Args:
        seed: of weights and samples.
        thetas: multiples of 1/200, from -2 to 5.
        steps, m: D-steps, and examples of each density in one.
    """
    line = torch.arange(0, 901, 20, dtype=torch.float64) / 200
    log_data = uniform(0.0, 1.0).log_prob(GRID.x)
    log_g = [uniform(float(theta), float(theta) + 1).log_prob(GRID.x) for theta in line]
    return Result(
        line,
        torch.stack([jsd(GRID, log_data, log) for log in log_g]),
        torch.stack([wasserstein(GRID, log_data, log) for log in log_g]),
        [_trained(seed, i, theta, steps, m) for i, theta in enumerate(thetas)],
    )


def _trained(seed: int, stream: int, theta: float, steps: int, m: int) -> Trained:
    torch.manual_seed(stream_seed(seed, stream))
    p_data, p_g = uniform(0.0, 1.0), uniform(theta, theta + 1)
    discriminator = new_discriminator()
    counts = sorted({0, steps, *(round(10 ** (i / 8)) for i in range(1 + int(8 * math.log10(steps))))})
    pulls = {name: [_pull(discriminator, theta, name)] for name in GENERATOR_LOSSES}
    for step in ascend(discriminator, p_data, p_g, steps, m):
        if step in counts:
            for name, found in pulls.items():
                found.append(_pull(discriminator, theta, name))
    log_data, log_g = p_data.log_prob(GRID.x), p_g.log_prob(GRID.x)
    with torch.no_grad():
        logits = discriminator(GRID.x)
    right = (log_data.exp() * (logits > 0) + log_g.exp() * (logits < 0)) / 2
    return Trained(
        theta,
        float(jsd(GRID, log_data, log_g)),
        float(wasserstein(GRID, log_data, log_g)),
        float(value_by_quadrature(GRID, log_data, log_g, logits) + math.log(4.0)) / 2,
        float(GRID.integral(right)),
        counts,
        pulls,
    )


def _pull(discriminator: nn.Module, theta: float, objective: str) -> float:
    """The derivative by theta of the loss of G(z) = theta + z, over 256 z that divide [0, 1] evenly."""
    shift = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    z = (torch.arange(256, dtype=torch.float64) + 0.5) / 256
    (found,) = torch.autograd.grad(GENERATOR_LOSSES[objective](discriminator(shift + z)), shift)
    return float(found)

"""Disjoint supports: the JSD is log 2 at any distance, D can be perfect, and a perfect D gives G no gradient.

p_data is uniform on [0, 1] and p_g on [theta, theta + 1], as in Arjovsky & Bottou (2017) and in example 1 of Arjovsky et al.
(2017). The supports overlap on a length of 1 - |theta|, so JSD = |theta| log 2 up to theta = 1, and log 2 beyond.
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

GRID = Grid(-2.0, 6.0, 1600)  # cells of 1/200, so that all supports end at the edges of cells


@dataclass(frozen=True)
class Trained:
    """D trained for one theta; divergences in nats.

    Attributes:
        theta: Shift of p_g.
        jsd: JSD by quadrature.
        wasserstein: Wasserstein-1 distance by quadrature.
        estimate: (V + log 4) / 2 of the trained D, by quadrature.
        accuracy: Share of p_data and p_g that the trained D classifies correctly at the threshold 1/2.
        counts: Numbers of updates of D at which the gradients were computed.
        gradients: Name of the loss -> derivative of its mean by theta, at each of `counts`.
    """

    theta: float
    jsd: float
    wasserstein: float
    estimate: float
    accuracy: float
    counts: list[int]
    gradients: dict[str, list[float]]


@dataclass(frozen=True)
class Result:
    """Result of the experiment.

    Attributes:
        thetas: float64[n].
        jsd: float64[n], JSD by quadrature, in nats.
        wasserstein: float64[n], Wasserstein-1 distance by quadrature.
        trained: D trained at some of the thetas.
    """

    thetas: Tensor
    jsd: Tensor
    wasserstein: Tensor
    trained: list[Trained]


def run(seed: int = 0, thetas: tuple[float, ...] = (0.25, 0.5, 1.5, 2.5, 4.0), steps: int = 1000, m: int = 256) -> Result:
    """Train a new D for each theta, and compute G's gradients during the training.

    Args:
        seed: Seed of weights and samples.
        thetas: Multiples of 1/200, from -2 to 5.
        steps: Number of updates of D.
        m: Number of examples of each density in a minibatch.
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
    gradients = {name: [_gradient(discriminator, theta, name)] for name in GENERATOR_LOSSES}
    for step in ascend(discriminator, p_data, p_g, steps, m):
        if step in counts:
            for name, values in gradients.items():
                values.append(_gradient(discriminator, theta, name))
    log_data, log_g = p_data.log_prob(GRID.x), p_g.log_prob(GRID.x)
    with torch.no_grad():
        logits = discriminator(GRID.x)
    correct = (log_data.exp() * (logits > 0) + log_g.exp() * (logits < 0)) / 2
    return Trained(
        theta,
        float(jsd(GRID, log_data, log_g)),
        float(wasserstein(GRID, log_data, log_g)),
        float(value_by_quadrature(GRID, log_data, log_g, logits) + math.log(4.0)) / 2,
        float(GRID.integral(correct)),
        counts,
        gradients,
    )


def _gradient(discriminator: nn.Module, theta: float, objective: str) -> float:
    """Return the derivative by theta of the loss of G(z) = theta + z, over 256 evenly spaced z in [0, 1]."""
    shift = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    z = (torch.arange(256, dtype=torch.float64) + 0.5) / 256
    (result,) = torch.autograd.grad(GENERATOR_LOSSES[objective](discriminator(shift + z)), shift)
    return float(result)

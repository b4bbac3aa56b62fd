"""Proposition 2: with D at its optimum before each step, p_g converges to p_data, because the criterion is convex in p_g.

The proof updates the density p_g, not the weights of a network. This experiment also updates the density: it descends
C(p_g) = max over D of V on the simplex of densities with exponentiated gradients (Kivinen & Warmuth, 1997). The gradient of C
at p_g is log(1 - D*), so a step of size η is

    p_g <- p_g (1 - D*)^(-η), normalized.

For η = 1, the step equals p_g <- (p_g + p_data) / 2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from seedmint.training.theory.affine import density, gradient
from seedmint.training.theory.densities import Grid, gaussian, mixture
from seedmint.training.theory.divergences import jsd, optimal_logits, value_by_quadrature

GRID = Grid(-16.0, 20.0, 3600)
_DATA = mixture([0.6, 0.4], [-1.5, 1.5], [0.6, 0.8])
_START = gaussian(-3.0, 1.0)
_LEARNING_RATE = 1.0  # of the two parameters
_MAX_MEAN = 6.0  # mean of the Gaussian at the end of the two segments


@dataclass(frozen=True)
class Result:
    """Result of the experiment; divergences in nats.

    Attributes:
        p_data: float64[cells] on `GRID`.
        densities: p_g after 0, 1, 2, ... steps with η = 1.
        full_steps: JSD after each step with η = 1.
        small_steps: JSD after each step with the smaller η.
        rate: The smaller η.
        parametric: JSD to a Gaussian p_data while G(z) = mean + std z descends V(G, D*) in its two parameters.
        t: float64[n] from 0 to 1.
        mixed: JSD of N(0, 1) and (1 - t) N(0, 1) + t N(6, 1): a segment of densities.
        shifted: JSD of N(0, 1) and N(6 t, 1): a segment of parameters.
        max_excess: Largest C(mixture) - mixture of C over random segments of densities; at most 0 if C is convex.
    """

    p_data: Tensor
    densities: list[Tensor]
    full_steps: list[float]
    small_steps: list[float]
    rate: float
    parametric: list[float]
    t: Tensor
    mixed: Tensor
    shifted: Tensor
    max_excess: float

    @property
    def halving_error(self) -> float:
        """Largest difference from p_data + (p_0 - p_data) / 2^t over all steps with η = 1."""
        initial = self.densities[0] - self.p_data
        return max(float((p - self.p_data - initial / 2**t).abs().max()) for t, p in enumerate(self.densities))

    @property
    def max_above_chord(self) -> float:
        """Largest excess of the segment of parameters over its chord."""
        chord = self.shifted[0] + self.t * (self.shifted[-1] - self.shifted[0])
        return float((self.shifted - chord).max())


def run(seed: int = 0, steps: int = 30, rate: float = 0.25, parametric_steps: int = 60, segments: int = 200) -> Result:
    """Descend in the space of densities and in two parameters, and test the convexity on random segments.

    Args:
        seed: Seed of the random segments.
        steps: Number of steps in the space of densities.
        rate: The smaller η.
        parametric_steps: Number of steps in the two parameters.
        segments: Number of random segments.
    """
    log_data = _DATA.log_prob(GRID.x)
    full_steps, small_steps = _descend(log_data, 1.0, steps), _descend(log_data, rate, steps)
    near, far = gaussian(0.0, 1.0).log_prob(GRID.x), gaussian(_MAX_MEAN, 1.0).log_prob(GRID.x)
    t = torch.linspace(0.0, 1.0, 101, dtype=torch.float64)
    mixed = torch.stack([jsd(GRID, near, torch.logaddexp(near + (1 - s).log(), far + s.log())) for s in t])
    shifted = torch.stack([jsd(GRID, near, gaussian(_MAX_MEAN * s, 1.0).log_prob(GRID.x)) for s in t])
    return Result(
        log_data.exp(),
        [log_g.exp() for log_g in full_steps],
        [float(jsd(GRID, log_data, log_g)) for log_g in full_steps],
        [float(jsd(GRID, log_data, log_g)) for log_g in small_steps],
        rate,
        _descend_two_parameters(parametric_steps),
        t,
        mixed,
        shifted,
        _max_excess(log_data, seed, segments),
    )


def criterion(log_data: Tensor, log_g: Tensor) -> Tensor:
    """Return C(p_g) = V(G, D*) by quadrature, float64[].

    Args:
        log_data: float64[cells], log p_data on `GRID`.
        log_g: float64[cells], log p_g on `GRID`.
    """
    return value_by_quadrature(GRID, log_data, log_g, optimal_logits(log_data, log_g))


def _descend(log_data: Tensor, rate: float, steps: int) -> list[Tensor]:
    log_g = _START.log_prob(GRID.x)
    path = [log_g]
    for _ in range(steps):
        log_one_minus_d = torch.nn.functional.logsigmoid(-optimal_logits(log_data, log_g))
        log_g = log_g - rate * log_one_minus_d
        log_g = log_g - GRID.integral(log_g.exp()).log()
        path.append(log_g)
    return path


def _descend_two_parameters(steps: int) -> list[float]:
    p_data, theta = gaussian(1.0, 0.7), torch.tensor([-3.0, 0.0], dtype=torch.float64)
    log_data, path = p_data.log_prob(GRID.x), []
    for _ in range(steps + 1):
        path.append(float(jsd(GRID, log_data, density(theta).log_prob(GRID.x))))
        theta = theta - _LEARNING_RATE * gradient(p_data, theta, "minimax")
    return path


def _max_excess(log_data: Tensor, seed: int, segments: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    excess = -math.inf
    for _ in range(segments):
        mean, spread, weight = torch.rand(3, 2, dtype=torch.float64, generator=generator)
        p, q = (gaussian(8 * mean[i] - 4, 0.3 + 2 * spread[i]).log_prob(GRID.x) for i in range(2))
        s = weight[0]
        mixed = torch.logaddexp(p + (1 - s).log(), q + s.log())
        chord = (1 - s) * criterion(log_data, p) + s * criterion(log_data, q)
        excess = max(excess, float(criterion(log_data, mixed) - chord))
    return excess

"""Why each step of G must be small: after a large step, the old D does not measure the divergence.

p_data = N(0, 1) and p_g = N(theta, 1). D is the optimal D for the theta before the step. G follows the gradient of this D.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from seedmint.training.theory.affine import gradient
from seedmint.training.theory.densities import Grid, gaussian
from seedmint.training.theory.divergences import jsd, optimal_logits, value_by_quadrature

GRID = Grid(-25.0, 25.0, 2500)
_P_DATA = gaussian(0.0, 1.0)
START = -2.0


@dataclass(frozen=True)
class Result:
    """Result of the experiment; divergences in nats.

    Attributes:
        steps: float64[n], sizes of the step of theta from `START` toward the data and beyond.
        truth: float64[n], JSD after the step.
        estimate: float64[n], (V + log 4) / 2 after the step, with D* of `START`.
        curvature: (truth - estimate) / step² for steps 0.1, 0.01, 0.001.
        rates: Learning rates of G.
        paths: For each rate, theta over the iterations, with D optimal before each step of G.
        divergences: For each rate, JSD over the iterations.
    """

    steps: Tensor
    truth: Tensor
    estimate: Tensor
    curvature: list[float]
    rates: tuple[float, ...]
    paths: list[list[float]]
    divergences: list[list[float]]

    @property
    def slopes(self) -> tuple[float, float]:
        """Slopes of truth and estimate at step 0, by differences of the first three points."""
        width = float(self.steps[1] - self.steps[0])
        return tuple(float(-3 * c[0] + 4 * c[1] - c[2]) / (2 * width) for c in (self.truth, self.estimate))  # type: ignore[return-value]


def run(rates: tuple[float, ...] = (0.5, 2.0, 6.0), iterations: int = 30) -> Result:
    """Compute single steps of increasing size with one D, and descents with increasing learning rates.

    Args:
        rates: Learning rates of G.
        iterations: Number of iterations of each descent.
    """
    steps = torch.linspace(0.0, 5.0, 201, dtype=torch.float64)
    pairs = torch.tensor([_divergence(float(step)) for step in steps], dtype=torch.float64)
    curvature = [(truth - estimate) / step**2 for step in (0.1, 0.01, 0.001) for truth, estimate in [_divergence(step)]]
    paths = [_path(rate, iterations) for rate in rates]
    divergences = [[_jsd(theta) for theta in path] for path in paths]
    return Result(steps, pairs[:, 0], pairs[:, 1], curvature, rates, paths, divergences)


def _divergence(step: float) -> tuple[float, float]:
    """Return the JSD after a step, and the estimate of D* of `START`."""
    log_data, old = _P_DATA.log_prob(GRID.x), gaussian(START, 1.0).log_prob(GRID.x)
    log_g = gaussian(START + step, 1.0).log_prob(GRID.x)
    v = value_by_quadrature(GRID, log_data, log_g, optimal_logits(log_data, old))
    return _jsd(START + step), float(v + math.log(4.0)) / 2


def _jsd(theta: float) -> float:
    return float(jsd(GRID, _P_DATA.log_prob(GRID.x), gaussian(theta, 1.0).log_prob(GRID.x)))


def _path(rate: float, iterations: int) -> list[float]:
    theta = torch.tensor([START, 0.0], dtype=torch.float64)
    path = [START]
    for _ in range(iterations):
        theta = theta - rate * gradient(_P_DATA, theta, "minimax") * torch.tensor([1.0, 0.0])
        path.append(float(theta[0]))
    return path

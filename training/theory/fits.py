"""The best Gaussian for a p_data with two modes depends on the divergence (Huszár, 2015; Theis et al., 2016).

The minimum of KL(p_data || p_g), which is maximum likelihood, covers both modes and the gap between them. The minimum of
KL(p_g || p_data) covers one mode and drops the other. The minimum of the JSD covers both modes if they are near, and one mode
if they are distant.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.distributions import Distribution

from seedmint.training.theory.affine import density
from seedmint.training.theory.densities import Grid, mixture
from seedmint.training.theory.divergences import jsd, kl

GRID = Grid(-20.0, 20.0, 1600)
WEIGHTS, STDS = (0.6, 0.4), (0.7, 0.7)
"""Weights and standard deviations of the left and the right mode. Their means are ± separation / 2."""

_BOUNDS = ((-8.0, 8.0), (math.log(0.2), math.log(6.0)))  # of the mean and of log std; the grid resolves this range
_SEPARATIONS = tuple(0.125 * i for i in range(4, 49))

DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "KL(p_data || p_g)": lambda log_data, log_g: kl(GRID, log_data, log_g),
    "JSD": lambda log_data, log_g: jsd(GRID, log_data, log_g),
    "KL(p_g || p_data)": lambda log_data, log_g: kl(GRID, log_g, log_data),
    "KL(p_g || p_data) - 2 JSD": lambda log_data, log_g: kl(GRID, log_g, log_data) - 2 * jsd(GRID, log_data, log_g),
}
"""Functions of float64[cells] log p_data and log p_g, in nats. The non-saturating loss descends the last one."""


@dataclass(frozen=True)
class Fit:
    """The Gaussian with the smallest divergence.

    Attributes:
        mean: Mean of the Gaussian.
        std: Standard deviation of the Gaussian.
        divergence: The smallest divergence, in nats.
    """

    mean: float
    std: float
    divergence: float

    @property
    def theta(self) -> Tensor:
        """The parameters (mean, log std), float64[2]."""
        return torch.tensor([self.mean, math.log(self.std)], dtype=torch.float64)

    @property
    def left(self) -> float:
        """Mass at the left of the midpoint between the modes."""
        return (1 + math.erf(-self.mean / self.std / math.sqrt(2))) / 2

    @property
    def right(self) -> float:
        """Mass at the right of the midpoint between the modes."""
        return 1 - self.left


@dataclass(frozen=True)
class Result:
    """Result of the experiment.

    Attributes:
        separations: Distances of the modes.
        fits: Name of the divergence -> the fit at each separation.
        shown: The separations whose densities are drawn.
    """

    separations: tuple[float, ...]
    fits: dict[str, list[Fit]]
    shown: tuple[float, ...]

    def at(self, name: str, separation: float) -> Fit:
        """Return the fit of one divergence at one separation."""
        return self.fits[name][self.separations.index(separation)]

    def drop_separation(self, name: str) -> float:
        """Return the first separation at which the best fit drops a mode (is narrower than before), or infinity."""
        stds = [fit.std for fit in self.fits[name]]
        return next((self.separations[i] for i in range(1, len(stds)) if stds[i] < stds[i - 1]), math.inf)


def p_data(separation: float) -> Distribution:
    """Return the density with two modes at this distance."""
    return mixture(WEIGHTS, [-separation / 2, separation / 2], STDS)


def run(separations: tuple[float, ...] = _SEPARATIONS, shown: tuple[float, ...] = (4.0, 6.0)) -> Result:
    """Minimize each divergence at each separation of the modes.

    Args:
        separations: Distances of the modes.
        shown: The separations whose densities are drawn.
    """
    fits = {name: [fit(name, separation) for separation in separations] for name in DIVERGENCES}
    return Result(separations, fits, shown)


def fit(name: str, separation: float) -> Fit:
    """Return the best Gaussian for one divergence: the best of three L-BFGS-B runs, from a wide Gaussian and from each mode.

    Args:
        name: Name of the divergence.
        separation: Distance of the modes.

    Raises:
        RuntimeError: The minimum is at the bounds, which keep p_g on the grid.
    """
    log_data = p_data(separation).log_prob(GRID.x)
    starts = [(0.0, 1.0 + separation / 2), (-separation / 2, STDS[0]), (separation / 2, STDS[1])]

    def descend(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parameters = torch.tensor(theta, requires_grad=True)
        value = DIVERGENCES[name](log_data, density(parameters).log_prob(GRID.x))
        value.backward()  # type: ignore[no-untyped-call]
        assert parameters.grad is not None
        return value.item(), parameters.grad.numpy()

    results = [
        minimize(descend, (mean, math.log(std)), jac=True, method="L-BFGS-B", bounds=_BOUNDS, tol=1e-14) for mean, std in starts
    ]
    best = min(results, key=lambda result: float(result.fun))
    if any(abs(value - bound) < 1e-6 for value, bounds in zip(best.x, _BOUNDS, strict=True) for bound in bounds):
        raise RuntimeError(f"{name} at separation {separation}: the minimum is at the bounds, {best.x}")
    return Fit(float(best.x[0]), math.exp(best.x[1]), float(best.fun))

"""Which Gaussian is nearest to a p_data of two modes depends on the divergence (Huszár, 2015; Theis et al., 2016).

KL(p_data || p_g), which maximum likelihood descends, covers both modes and the void between them. KL(p_g || p_data) picks one
mode and drops the other. The JSD does the one while the modes are near and the other when they are far.
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
"""Of the two modes, left and right. They lie at ± separation / 2."""

_BOUNDS = ((-8.0, 8.0), (math.log(0.2), math.log(6.0)))  # of the mean and of log std: what the grid resolves
_SEPARATIONS = tuple(0.125 * i for i in range(4, 49))

DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "KL(p_data || p_g)": lambda log_data, log_g: kl(GRID, log_data, log_g),
    "JSD": lambda log_data, log_g: jsd(GRID, log_data, log_g),
    "KL(p_g || p_data)": lambda log_data, log_g: kl(GRID, log_g, log_data),
    "KL(p_g || p_data) - 2 JSD": lambda log_data, log_g: kl(GRID, log_g, log_data) - 2 * jsd(GRID, log_data, log_g),
}
"""Of float64[cells] log p_data and log p_g; in nats. The last is what the flip of the generator's loss descends."""


@dataclass(frozen=True)
class Fit:
    """The Gaussian with the least divergence.

    Attributes:
        mean, std: its parameters.
        least: the divergence, in nats.
        left, right: its mass left and right of the middle between the modes.
    """

    mean: float
    std: float
    least: float

    @property
    def theta(self) -> Tensor:
        """float64[2], (mean, log std)."""
        return torch.tensor([self.mean, math.log(self.std)], dtype=torch.float64)

    @property
    def left(self) -> float:
        return (1 + math.erf(-self.mean / self.std / math.sqrt(2))) / 2

    @property
    def right(self) -> float:
        return 1 - self.left


@dataclass(frozen=True)
class Result:
    """`fits`: name of the divergence -> the fit at each of `separations`; `shown`: which of these are drawn whole."""

    separations: tuple[float, ...]
    fits: dict[str, list[Fit]]
    shown: tuple[float, ...]

    def at(self, name: str, separation: float) -> Fit:
        return self.fits[name][self.separations.index(separation)]

    def leaves_at(self, name: str) -> float:
        """The first separation at which the best fit is narrower than at the one before, having left a mode; or infinite."""
        stds = [fit.std for fit in self.fits[name]]
        return next((self.separations[i] for i in range(1, len(stds)) if stds[i] < stds[i - 1]), math.inf)


def p_data(separation: float) -> Distribution:
    """The two modes at this distance from each other."""
    return mixture(WEIGHTS, [-separation / 2, separation / 2], STDS)


def run(separations: tuple[float, ...] = _SEPARATIONS, shown: tuple[float, ...] = (4.0, 6.0)) -> Result:
    """Minimise each divergence by quadrature at each separation of the modes.

    Args:
        separations: distances of the two modes.
        shown: those of them to draw whole.
    """
    fits = {name: [fit(name, separation) for separation in separations] for name in DIVERGENCES}
    return Result(separations, fits, shown)


def fit(name: str, separation: float) -> Fit:
    """The best Gaussian by one divergence: L-BFGS-B from a wide start and from each mode, the best of the three.

    Raises:
        RuntimeError: no minimum was found within the bounds, which keep p_g on the grid.
    """
    log_data = p_data(separation).log_prob(GRID.x)
    starts = [(0.0, 1.0 + separation / 2), (-separation / 2, STDS[0]), (separation / 2, STDS[1])]

    def descend(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moving = torch.tensor(theta, requires_grad=True)
        value = DIVERGENCES[name](log_data, density(moving).log_prob(GRID.x))
        value.backward()  # type: ignore[no-untyped-call]
        assert moving.grad is not None
        return value.item(), moving.grad.numpy()

    found = [
        minimize(descend, (mean, math.log(std)), jac=True, method="L-BFGS-B", bounds=_BOUNDS, tol=1e-14) for mean, std in starts
    ]
    best = min(found, key=lambda result: float(result.fun))
    if any(abs(value - bound) < 1e-6 for value, bounds in zip(best.x, _BOUNDS, strict=True) for bound in bounds):
        raise RuntimeError(f"{name} at separation {separation}: the minimum lies at the bounds, {best.x}")
    return Fit(float(best.x[0]), math.exp(best.x[1]), float(best.fun))

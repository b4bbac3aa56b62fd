"""Densities on the line whose formulas are known, and the grid on which they are integrated.

All is float64, and differentiable in the parameters where these are tensors that want gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal, Uniform


def gaussian(mean: float | Tensor, std: float | Tensor) -> Distribution:
    """The normal density of this mean and standard deviation."""
    return Normal(_double(mean), _double(std), validate_args=False)


def mixture(weights: Sequence[float], means: Sequence[float], stds: Sequence[float]) -> Distribution:
    """A mixture of Gaussians; the weights are positive and need not sum to one."""
    parts = Normal(_double(list(means)), _double(list(stds)), validate_args=False)
    return MixtureSameFamily(Categorical(_double(list(weights))), parts, validate_args=False)


def uniform(low: float, high: float) -> Distribution:
    """The uniform density on [low, high); log 0 outside is minus infinity."""
    return Uniform(_double(low), _double(high), validate_args=False)


@dataclass(frozen=True)
class Grid:
    """Equal cells on [low, high], for integrals by the midpoint rule.

    The rule converges faster than any power of the width for smooth densities that vanish at both ends (Trefethen & Weideman,
    2014), and is exact for densities that are constant on each cell.
    """

    low: float
    high: float
    cells: int

    @property
    def width(self) -> float:
        return (self.high - self.low) / self.cells

    @property
    def edges(self) -> Tensor:
        """float64[cells + 1]."""
        return self.low + self.width * torch.arange(self.cells + 1, dtype=torch.float64)

    @property
    def x(self) -> Tensor:
        """float64[cells], the midpoints."""
        return self.low + self.width * (torch.arange(self.cells, dtype=torch.float64) + 0.5)

    def integral(self, values: Tensor) -> Tensor:
        """The integral of a function from its float64[cells] values at the midpoints; float64[]."""
        return self.width * values.sum()


def normal_quantiles(n: int) -> Tensor:
    """float64[n], the standard normal's quantiles at (i + 1/2) / n: points that share its probability evenly."""
    quantiles: Tensor = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    return quantiles


def density_of_map(positions: Tensor, grid: Grid) -> Tensor:
    """The density of x = G(z): p_g(x) = sum of p_z(z) / |G'(z)| over all z with G(z) = x.

    Args:
        positions: float64[n], G at points that share the probability of z evenly, in order. Between two of them the
            probability is spread evenly, so that G need not be monotone.
        grid: where to.

    Returns:
        float64[cells], the mean of p_g over each cell.
    """
    ends = torch.stack([positions[:-1], positions[1:]]).sort(dim=0).values
    low, length = ends[0], (ends[1] - ends[0]).clamp_min(1e-12)
    cumulative = torch.stack([((edge - low) / length).clamp(0, 1).mean() for edge in grid.edges])
    return cumulative.diff() / grid.width


def _double(value: float | list[float] | Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)

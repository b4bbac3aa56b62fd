"""One-dimensional densities with known formulas, and the grid for their integrals.

All numbers are float64. Densities are differentiable in parameters that are tensors with gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal, Uniform


def gaussian(mean: float | Tensor, std: float | Tensor) -> Distribution:
    """Return a normal density.

    Args:
        mean: Mean of the density.
        std: Standard deviation of the density.
    """
    return Normal(_double(mean), _double(std), validate_args=False)


def mixture(weights: Sequence[float], means: Sequence[float], stds: Sequence[float]) -> Distribution:
    """Return a mixture of Gaussians.

    Args:
        weights: Positive weights; the function normalizes them.
        means: Mean of each Gaussian.
        stds: Standard deviation of each Gaussian.
    """
    parts = Normal(_double(list(means)), _double(list(stds)), validate_args=False)
    return MixtureSameFamily(Categorical(_double(list(weights))), parts, validate_args=False)


def uniform(low: float, high: float) -> Distribution:
    """Return the uniform density on [low, high). Its logarithm is minus infinity outside.

    Args:
        low: Lower end.
        high: Upper end.
    """
    return Uniform(_double(low), _double(high), validate_args=False)


@dataclass(frozen=True)
class Grid:
    """Equal cells on [low, high], for integrals with the midpoint rule.

    For smooth densities that vanish at both ends, the rule converges faster than any power of the width (Trefethen & Weideman,
    2014). For densities that are constant on each cell, the rule is exact.

    Attributes:
        low: Lower end.
        high: Upper end.
        cells: Number of cells.
    """

    low: float
    high: float
    cells: int

    @property
    def width(self) -> float:
        """Width of a cell."""
        return (self.high - self.low) / self.cells

    @property
    def edges(self) -> Tensor:
        """Edges of the cells, float64[cells + 1]."""
        return self.low + self.width * torch.arange(self.cells + 1, dtype=torch.float64)

    @property
    def x(self) -> Tensor:
        """Midpoints of the cells, float64[cells]."""
        return self.low + self.width * (torch.arange(self.cells, dtype=torch.float64) + 0.5)

    def integral(self, values: Tensor) -> Tensor:
        """Return the integral of a function, float64[].

        Args:
            values: float64[cells], values at the midpoints.
        """
        return self.width * values.sum()


def normal_quantiles(n: int) -> Tensor:
    """Return n equally probable points of the standard normal: its quantiles at (i + 1/2) / n, float64[n].

    Args:
        n: Number of points.
    """
    quantiles: Tensor = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    return quantiles


def density_of_map(positions: Tensor, grid: Grid) -> Tensor:
    """Return the density of x = G(z): p_g(x) = sum of p_z(z) / |G'(z)| over all z with G(z) = x.

    Args:
        positions: float64[n], G at equally probable z in increasing order. The probability between two z is spread evenly
            between their positions, so G does not have to be monotone.
        grid: The grid of the result.

    Returns:
        float64[cells], the mean of p_g over each cell.
    """
    ends = torch.stack([positions[:-1], positions[1:]]).sort(dim=0).values
    low, length = ends[0], (ends[1] - ends[0]).clamp_min(1e-12)
    cumulative = torch.stack([((edge - low) / length).clamp(0, 1).mean() for edge in grid.edges])
    return cumulative.diff() / grid.width


def _double(value: float | list[float] | Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)

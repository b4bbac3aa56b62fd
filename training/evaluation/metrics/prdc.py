"""Precision and recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al., 2020), by k nearest neighbours.

Around each point lies a ball that reaches to its k-th nearest neighbour in its own set. Precision: the share of generated
points in some real point's ball. Recall: the share of real points in some generated point's ball. Density: how many real balls
a generated point lies in, in the mean, divided by k. Coverage: the share of real balls with a generated point in them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

K = 5

_DISTANCES_AT_ONCE = 5_000_000  # 40 MB


@dataclass(frozen=True)
class Prdc:
    """All four from 0 to 1, but density, which may be more. Two sets of one distribution have density 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: NDArray[np.floating], generated: NDArray[np.floating], k: int = K) -> Prdc:
    """The four figures. Distances are Euclidean, in float64, a block of rows at a time.

    Args:
        real, generated: [n, d] and [m, d], more than k each.
    """
    x, y = torch.from_numpy(real).double(), torch.from_numpy(generated).double()
    reach_x, reach_y = _reach(x, k), _reach(y, k)
    precise = torch.zeros(len(y), dtype=torch.bool)
    recalled = covered = inside = 0
    for rows, distances in _blocks(x, y):
        in_real = distances < reach_x[rows, None]
        precise |= in_real.any(dim=0)
        inside += int(in_real.sum())
        covered += int(in_real.any(dim=1).sum())
        recalled += int((distances < reach_y).any(dim=1).sum())
    return Prdc(
        precision=float(precise.double().mean()),
        recall=recalled / len(x),
        density=inside / (k * len(y)),
        coverage=covered / len(x),
    )


def _reach(points: Tensor, k: int) -> Tensor:
    """float64[n]: squared distance of each point's k-th nearest neighbour; the nearest of all is the point itself."""
    return torch.cat([distances.topk(k + 1, largest=False).values[:, -1] for _, distances in _blocks(points, points)])


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of some rows of x to all of y, until all rows are done."""
    norms = (y**2).sum(dim=1)
    step = max(1, _DISTANCES_AT_ONCE // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        yield rows, ((x[rows] ** 2).sum(dim=1, keepdim=True) + norms - 2 * x[rows] @ y.T).clamp_(min=0)

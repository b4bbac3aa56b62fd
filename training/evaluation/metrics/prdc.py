"""Precision and recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al., 2020), by k nearest neighbors.

Each point has a ball whose radius is the distance to the point's k-th nearest neighbor in its own set.

Precision: share of generated points inside at least one real ball.
Recall: share of real points inside at least one generated ball.
Density: mean number of real balls that contain a generated point, divided by k.
Coverage: share of real balls that contain a generated point.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NUM_NEIGHBORS = 5
"""k of the balls."""

_BLOCK_SIZE = 5_000_000  # distances, 40 MB


@dataclass(frozen=True)
class Prdc:
    """Result of `prdc`.

    Attributes:
        precision: 0 to 1.
        recall: 0 to 1.
        density: At least 0; 1 for two sets of the same distribution.
        coverage: 0 to 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: NDArray[np.floating], generated: NDArray[np.floating], k: int = NUM_NEIGHBORS) -> Prdc:
    """Return the four metrics. Distances are Euclidean, in float64.

    Args:
        real: float[n, d] features, n above k.
        generated: float[m, d] features, m above k.
        k: Number of neighbors inside a ball.
    """
    x, y = torch.from_numpy(real).double(), torch.from_numpy(generated).double()
    radius_x, radius_y = _squared_radii(x, k), _squared_radii(y, k)
    is_precise = torch.zeros(len(y), dtype=torch.bool)
    recalled = covered = contained = 0
    for rows, distances in _blocks(x, y):
        in_real = distances < radius_x[rows, None]
        is_precise |= in_real.any(dim=0)
        contained += int(in_real.sum())
        covered += int(in_real.any(dim=1).sum())
        recalled += int((distances < radius_y).any(dim=1).sum())
    return Prdc(
        precision=float(is_precise.double().mean()),
        recall=recalled / len(x),
        density=contained / (k * len(y)),
        coverage=covered / len(x),
    )


def _squared_radii(points: Tensor, k: int) -> Tensor:
    """Return float64[n], squared distances to the k-th nearest neighbor, without the point itself."""
    return torch.cat([distances.topk(k + 1, largest=False).values[:, -1] for _, distances in _blocks(points, points)])


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield blocks of rows of x with their squared distances to all rows of y."""
    norms = (y**2).sum(dim=1)
    step = max(1, _BLOCK_SIZE // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        yield rows, ((x[rows] ** 2).sum(dim=1, keepdim=True) + norms - 2 * x[rows] @ y.T).clamp_(min=0)

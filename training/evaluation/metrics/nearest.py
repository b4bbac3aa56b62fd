"""Detects copies of training images by the distance of generated and real images to their nearest training image.

The metric is the statistic of Meehan, Chaudhuri & Dasgupta (2020): the probability that a generated image is nearer to its
nearest training image than a held-out real image is to its nearest training image. Held-out images score 0.5; copies score 1.
Pixel distances detect exact copies, but not shifted copies, and smooth images are nearer to all other images than sharp images.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

_BLOCK_SIZE = 10_000_000  # distances, 40 MB
_CANDIDATES = 10_000  # converted to float32 at once


@dataclass(frozen=True)
class Nearest:
    """Nearest neighbors of n images.

    Attributes:
        rows: int64[n], rows of the neighbors.
        distances: float64[n], L2 distances of pixels in [0, 1].
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def nearest_neighbors(images: NDArray[np.uint8], candidates: NDArray[np.uint8], exclude_self: bool = False) -> Nearest:
    """Return the nearest candidate of each image. The search uses float32; the distances are exact.

    Args:
        images: uint8[n, ...].
        candidates: uint8[m, ...], images of the same shape.
        exclude_self: `images` are the first n candidates, and no image is its own neighbor.
    """
    flat, others = images.reshape(len(images), -1), candidates.reshape(len(candidates), -1)
    best = torch.full((len(flat),), math.inf)
    nearest = torch.zeros(len(flat), dtype=torch.int64)
    for first in range(0, len(others), _CANDIDATES):
        y = torch.from_numpy(others[first : first + _CANDIDATES]).float()
        norms = (y**2).sum(dim=1)
        step = max(1, _BLOCK_SIZE // len(y))
        for start in range(0, len(flat), step):
            x = torch.from_numpy(flat[start : start + step]).float()
            part = norms - 2 * x @ y.T  # without |x|^2, which does not change the order
            if exclude_self:
                own = torch.arange(start, start + len(x)) - first
                inside = (own >= 0) & (own < len(y))
                part[inside.nonzero()[:, 0], own[inside]] = math.inf
            values, columns = part.min(dim=1)
            better = values < best[start : start + step]
            best[start : start + step][better] = values[better]
            nearest[start : start + step][better] = columns[better] + first
    rows: NDArray[np.int64] = nearest.numpy()
    squares = [np.sum((image.astype(np.int64) - others[row]) ** 2) for image, row in zip(flat, rows, strict=True)]
    return Nearest(rows, np.sqrt(np.array(squares)) / 255)


def copying(generated: NDArray[np.float64], held_out: NDArray[np.float64]) -> tuple[float, float]:
    """Return P(generated < held out) + P(equal) / 2, and its standard error (DeLong et al., 1988).

    Args:
        generated: float64[n], distances of generated images to their nearest training image, n at least 2.
        held_out: float64[m], distances of held-out real images, m at least 2.
    """
    above = 1 - _below(held_out, generated)
    below = _below(generated, held_out)
    error = math.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
    return float(above.mean()), error


def _below(values: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each point the share of values below it. Equal values count half."""
    sorted_values = np.sort(values)
    sides = (np.searchsorted(sorted_values, points, side=side) for side in ("left", "right"))
    return np.add(*sides) / (2 * len(values))

"""Is it copying? The training image nearest to each generated one, and how near that is for generated and for real images.

The figure is the statistic of Meehan, Chaudhuri & Dasgupta (2020): the probability that a generated image lies nearer to its
nearest training image than a real image lies that was held out from training. 0.5 as held-out images do; towards 1 it copies.
Distances in pixels see a copy, not one that was moved; and smooth images lie nearer to all others than sharp ones.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

_DISTANCES_AT_ONCE = 10_000_000  # 40 MB


@dataclass(frozen=True)
class Nearest:
    """For each image the row of its nearest neighbour, int64[n], and the distance, float64[n]: L2 of pixels in [0, 1]."""

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def nearest(images: NDArray[np.uint8], among: NDArray[np.uint8], own: bool = False) -> Nearest:
    """The nearest of other images to each. Found in float32, then measured exactly.

    Args:
        images: uint8[n, ...].
        among: uint8[m, ...] of the same shape.
        own: `images` are the first of `among`, and none is its own neighbour.
    """
    flat, others = images.reshape(len(images), -1), among.reshape(len(among), -1)
    x, y = torch.from_numpy(flat).float(), torch.from_numpy(others).float()
    norms = (y**2).sum(dim=1)
    step = max(1, _DISTANCES_AT_ONCE // len(y))
    parts = []
    for start in range(0, len(x), step):
        part = norms - 2 * x[start : start + step] @ y.T  # but for |x|^2, which does not change the order
        if own:
            part.diagonal(start).fill_(math.inf)
        parts.append(part.argmin(dim=1))
    rows: NDArray[np.int64] = torch.cat(parts).numpy()
    squares = [np.sum((image.astype(np.int64) - others[row]) ** 2) for image, row in zip(flat, rows, strict=True)]
    return Nearest(rows, np.sqrt(np.array(squares)) / 255)


def copying(generated: NDArray[np.float64], held_out: NDArray[np.float64]) -> tuple[float, float]:
    """P(generated < held out) + P(equal) / 2, and its standard error (DeLong et al., 1988).

    Args:
        generated, held_out: float64[n] and float64[m] distances to the nearest training image, at least 2 each.
    """
    above = 1 - _below(held_out, generated)
    below = _below(generated, held_out)
    error = math.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
    return float(above.mean()), error


def _below(values: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each point the share of values below it, equal ones counted half."""
    ordered = np.sort(values)
    sides = (np.searchsorted(ordered, points, side=side) for side in ("left", "right"))
    return np.add(*sides) / (2 * len(values))

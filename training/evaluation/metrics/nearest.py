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
    x, y = torch.from_numpy(flat).float(), torch.from_numpy(others).float()
    norms = (y**2).sum(dim=1)
    step = max(1, _BLOCK_SIZE // len(y))
    parts = []
    for start in range(0, len(x), step):
        part = norms - 2 * x[start : start + step] @ y.T  # without |x|^2, which does not change the order
        if exclude_self:
            part.diagonal(start).fill_(math.inf)
        parts.append(part.argmin(dim=1))
    rows: NDArray[np.int64] = torch.cat(parts).numpy()
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

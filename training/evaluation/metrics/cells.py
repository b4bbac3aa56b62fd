"""Copying per cell (Meehan, Chaudhuri & Dasgupta, 2020): copies in one region and underfitting in another cancel in the mean.

k-means divides the space into cells. In each cell, the Mann-Whitney statistic compares the distances of generated and of
held-out examples to their nearest training examples. The largest statistic shows the cell with the most copies.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.training.evaluation.metrics.nearest import copying

_MAX_CELLS = 20
_HELD_OUT_PER_CELL = 50
MAX_POINTS = 5_000
"""Number of examples that k-means uses."""
_COARSE_SIDE = 32  # pixels
_ITERATIONS = 10
_MIN_EXAMPLES = 10  # generated and held-out, in a cell that counts
_NEAR = 0.01


@dataclass(frozen=True)
class Cells:
    """Centers of the cells of k-means, float64[k, d]. Numbers are those of `cells_of`."""

    centers: NDArray[np.float64]

    def of(self, points: NDArray[np.generic]) -> NDArray[np.int64]:
        """Return the cell of each point, int64[n].

        Args:
            points: [n, d] numbers.
        """
        parts = [_nearest_center(points[i : i + 1000].astype(np.float64), self.centers) for i in range(0, len(points), 1000)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


@dataclass(frozen=True)
class CellCopying:
    """Result of `copying_by_cell`.

    Attributes:
        highest: The largest statistic of a cell, in standard errors of equal distributions; 0 if no cell has enough examples.
        share: P(generated < held out) + P(equal) / 2 in this cell.
        cells: Number of cells with enough examples.
    """

    highest: float
    share: float
    cells: int


def cells_of(points: NDArray[np.generic], order: NDArray[np.int64], held_out: int) -> Cells:
    """Divide the space by k-means, one cell for 50 held-out examples, at most 20 cells.

    Args:
        points: [n, d] training examples, n at least 1.
        order: int64[n], a random order of the rows. The first rows are used, the same in every order of the rows.
        held_out: Number of held-out examples.
    """
    x = points[order[:MAX_POINTS]].astype(np.float64)
    centers = x[: min(len(x), max(1, min(_MAX_CELLS, held_out // _HELD_OUT_PER_CELL)))].copy()
    for _ in range(_ITERATIONS):
        cell = _nearest_center(x, centers)
        for number in np.unique(cell):
            centers[number] = x[cell == number].mean(axis=0)
    return Cells(centers)


def coarse_pixels(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return images reduced to sides of at most 63 pixels, so that the cells of large images need little memory.

    Args:
        images: uint8[n, channels, height, width].

    Returns:
        float64[n, d].
    """
    factor = max(1, min(images.shape[2:]) // _COARSE_SIDE)
    height, width = (side // factor for side in images.shape[2:])
    n, channels = images.shape[:2]
    blocks = images[:, :, : height * factor, : width * factor].reshape(n, channels, height, factor, width, factor)
    return np.asarray(blocks.mean(axis=(3, 5)).reshape(n, -1) if factor > 1 else blocks.reshape(n, -1).astype(np.float64))


def copying_by_cell(
    generated: NDArray[np.float64],
    generated_cell: NDArray[np.int64],
    held_out: NDArray[np.float64],
    held_out_cell: NDArray[np.int64],
) -> CellCopying:
    """Return the statistic of the cell with the most copies.

    Args:
        generated: float64[n], distances of generated examples to their nearest training example.
        generated_cell: int64[n], their cells.
        held_out: float64[m], distances of held-out examples.
        held_out_cell: int64[m], their cells.
    """
    found = []
    for cell in np.intersect1d(generated_cell, held_out_cell):
        a, b = generated[generated_cell == cell], held_out[held_out_cell == cell]
        if min(len(a), len(b)) >= _MIN_EXAMPLES:
            share, _ = copying(a, b)
            error = np.sqrt((len(a) + len(b) + 1) / (12 * len(a) * len(b)))
            found.append((float((share - 0.5) / error), share))
    highest, share = max(found, default=(0.0, 0.5))
    return CellCopying(highest, share, len(found))


def near_share(generated: NDArray[np.float64], held_out: NDArray[np.float64]) -> float:
    """Return the share of generated examples that are nearer to a training example than 99% of held-out examples.

    Args:
        generated: float64[n], distances of generated examples to their nearest training example.
        held_out: float64[m], distances of held-out examples.

    Returns:
        0.01 on average without copies, also if many distances are equal: at the limit, generated examples count by the part of
        the equal held-out examples that completes the 1%.
    """
    limit = np.quantile(held_out, _NEAR, method="inverted_cdf")
    part = (_NEAR - (held_out < limit).mean()) / (held_out == limit).mean()
    return float((generated < limit).mean() + part * (generated == limit).mean())


def suspicion(
    generated: NDArray[np.float64],
    generated_cell: NDArray[np.int64],
    held_out: NDArray[np.float64],
    held_out_cell: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return how unusually near each generated example is: its distance over the median of held-out examples in its cell.

    Args:
        generated: float64[n], distances of generated examples to their nearest training example.
        generated_cell: int64[n], their cells.
        held_out: float64[m], distances of held-out examples.
        held_out_cell: int64[m], their cells.

    Returns:
        float64[n]; small values are suspicious. A cell without held-out examples uses the median of all.
    """
    medians = np.full(int(max(generated_cell.max(), held_out_cell.max())) + 1, np.median(held_out))
    for cell in np.unique(held_out_cell):
        medians[cell] = np.median(held_out[held_out_cell == cell])
    return generated / np.where(medians > 0, medians, 1.0)[generated_cell]


def _nearest_center(points: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.int64]:
    distances = (centers**2).sum(axis=1) - 2 * points @ centers.T
    return np.asarray(distances.argmin(axis=1), dtype=np.int64)

"""Copies among generated samples: the distance to the closest record, against that of held-out samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from seedmint.models.provenance import Metric
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.draw import NAME as DRAW
from seedmint.training.evaluation.metrics.cells import MAX_POINTS, cells_of, copying_by_cell, near_share
from seedmint.training.evaluation.metrics.nearest import copying
from seedmint.training.evaluation.real_draws import CHEAP_DRAWS, resamples, with_intervals

_MAX_EXAMPLES = 5_000  # generated, and held-out
_MAX_TREE_DIMENSIONS = 16  # in more dimensions, a k-d tree compares almost all pairs, one after the other
_BLOCK_SIZE = 2_000_000  # distances, 16 MB


@dataclass(frozen=True)
class Nearness:
    """How near samples are to the training samples.

    Attributes:
        distances: float64[n], distances to the closest training sample.
        cells: int64[n], numbers of the cells of k-means.
    """

    distances: NDArray[np.float64]
    cells: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "Nearness":
        """Return some of the samples.

        Args:
            rows: int64[k], their numbers.
        """
        return Nearness(self.distances[rows], self.cells[rows])


def copy_metrics(generated: Nearness, controls: Nearness, pair: str, num_cells: int, with_draws: bool) -> tuple[Metric, ...]:
    """Return the metrics of the distances to the closest record.

    Args:
        generated: Of n generated samples.
        controls: Of m held-out samples.
        pair: The compared samples and the distance, for the protocol.
        num_cells: Number of cells of k-means.
        with_draws: Whether to measure also real data, for intervals and standard errors.
    """

    def measure(a: Nearness, b: Nearness) -> tuple[Metric, ...]:
        value, error = copying(a.distances, b.distances)
        by_cell = copying_by_cell(a.distances, a.cells, b.distances, b.cells)
        rows = (
            ("closest-record", "chance that a generated sample is nearer than a real sample", value, error),
            (
                "closest-record-cells",
                f"the largest z-score of {by_cell.cells} of {num_cells} cells of k-means",
                by_cell.highest,
                None,
            ),
            ("closest-record-near", "share nearer than 99% of real samples", near_share(a.distances, b.distances), None),
        )
        return tuple(
            Metric(metric=name, protocol=f"{DRAW}; {text}; {pair}", value=value, samples=len(a.distances), standard_error=error)
            for name, text, value, error in rows
        )

    found = measure(generated, controls)
    if not with_draws:
        return found
    n, m = len(generated.distances), len(controls.distances)
    pairs = zip(resamples(m, n, CHEAP_DRAWS), resamples(m, m, CHEAP_DRAWS, stream=1), strict=True)
    return with_intervals(found, [measure(controls.take(a), controls.take(b)) for a, b in pairs])


def closest_distances(points: NDArray[np.float64], records: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the L2 distance of each point to its closest record, float64[n].

    Matrix products find the closest record, in blocks of bounded memory.

    Args:
        points: float64[n, d].
        records: float64[m, d], m at least 1.
    """
    half_norms = (records**2).sum(axis=1) / 2
    rows = max(1, _BLOCK_SIZE // len(records))
    distances = np.empty(len(points))
    for start in range(0, len(points), rows):
        block = points[start : start + rows]
        closest = (half_norms - block @ records.T).argmin(axis=1)  # without the norm of the point, which changes no order
        distances[start : start + rows] = np.linalg.norm(block - records[closest], axis=1)
    return distances


class CopyDetector:
    """Measures how near generated samples are to training samples, with each column in units of its standard deviation.

    Args:
        train: The training data.
        held_out: Data held out from training.
    """

    def __init__(self, train: Dataset, held_out: Dataset) -> None:
        assert train.scaling is not None
        self._scaling, self._train = train.scaling, train
        self._records = self._flat(train.samples)
        self._tree = cKDTree(self._records) if self._records.shape[1] <= _MAX_TREE_DIMENSIONS else None
        controls = self._flat(held_out.samples[held_out.draw_order[:_MAX_EXAMPLES]])
        points = self._flat(train.samples[train.draw_order[:MAX_POINTS]])
        self._cells = cells_of(points, np.arange(len(points)), len(controls))
        self._controls = Nearness(self._distances(controls), self._cells.of(controls))
        self._control_text = f"{len(controls):,} of {held_out.name}"

    def measure(self, generated: NDArray[np.float32], with_draws: bool) -> tuple[Metric, ...]:
        """Return the metrics of the distances to the closest record.

        Args:
            generated: float32[n, ...], of which the first 5,000 are used.
            with_draws: Whether to measure also real data, for intervals and standard errors.
        """
        points = self._flat(generated[:_MAX_EXAMPLES])
        pair = (
            f"seeds 0-{len(points) - 1} and their closest training samples ({self._train.name}, "
            f"{len(self._train):,} samples) against {self._control_text}; L2 in standard deviations"
        )
        found = Nearness(self._distances(points), self._cells.of(points))
        return copy_metrics(found, self._controls, pair, len(self._cells.centers), with_draws)

    def _distances(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._tree is None:
            return closest_distances(points, self._records)
        distances, _ = self._tree.query(points)
        return np.asarray(distances, dtype=np.float64)

    def _flat(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        return self._scaling.standardize(samples).reshape(len(samples), -1).astype(np.float64)

"""Copies among generated samples: the distance to the closest record, against that of held-out samples."""

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


class CopyDetector:
    """Measures how near generated samples are to training samples, with each column in units of its standard deviation.

    Args:
        train: The training data.
        held_out: Data held out from training.
    """

    def __init__(self, train: Dataset, held_out: Dataset) -> None:
        assert train.scaling is not None
        self._scaling, self._train = train.scaling, train
        self._records = cKDTree(self._flat(train.samples))
        controls = self._flat(held_out.samples[held_out.draw_order[:_MAX_EXAMPLES]])
        points = self._flat(train.samples[train.draw_order[:MAX_POINTS]])
        self._cells = cells_of(points, np.arange(len(points)), len(controls))
        self._controls, self._control_cell = self._distances(controls), self._cells.of(controls)
        self._control_text = f"{len(controls):,} of {held_out.name}"

    def measure(self, generated: NDArray[np.float32], with_draws: bool) -> tuple[Metric, ...]:
        """Return the metrics of the distances to the closest record.

        Args:
            generated: float32[n, ...], of which the first 5,000 are used.
            with_draws: Whether to measure also real data, for intervals and standard errors.
        """
        points = self._flat(generated[:_MAX_EXAMPLES])
        n = len(points)
        found = self._metrics(self._distances(points), self._cells.of(points), self._controls, self._control_cell)
        if not with_draws:
            return found
        d, cell, m = self._controls, self._control_cell, len(self._controls)
        pairs = zip(resamples(m, n, CHEAP_DRAWS), resamples(m, m, CHEAP_DRAWS, stream=1), strict=True)
        return with_intervals(found, [self._metrics(d[a], cell[a], d[b], cell[b]) for a, b in pairs])

    def _metrics(
        self,
        distances: NDArray[np.float64],
        cell: NDArray[np.int64],
        controls: NDArray[np.float64],
        control_cell: NDArray[np.int64],
    ) -> tuple[Metric, ...]:
        n = len(distances)
        value, error = copying(distances, controls)
        by_cell = copying_by_cell(distances, cell, controls, control_cell)
        pair = (
            f"seeds 0-{n - 1} and their closest training samples ({self._train.name}, {len(self._train):,} samples) against "
            f"{self._control_text}; L2 in standard deviations"
        )
        cells = f"{by_cell.cells} of {len(self._cells.centers)} cells of k-means"
        rows = (
            ("closest-record", f"chance that a generated sample is nearer than a real sample; {pair}", value, error),
            ("closest-record-cells", f"the largest z-score of {cells}; {pair}", by_cell.highest, None),
            ("closest-record-near", f"share nearer than 99% of real samples; {pair}", near_share(distances, controls), None),
        )
        return tuple(
            Metric(metric=name, protocol=f"{DRAW}; {text}", value=value, samples=n, standard_error=error)
            for name, text, value, error in rows
        )

    def _distances(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        distances, _ = self._records.query(points)
        return np.asarray(distances, dtype=np.float64)

    def _flat(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        return self._scaling.standardize(samples).reshape(len(samples), -1).astype(np.float64)

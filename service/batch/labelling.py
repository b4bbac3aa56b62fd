"""The labels of the images of a data set, by their positions and seeds."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seedmint.models.noise import LabelRule
from seedmint.service.batch.label_weights import label_sequence
from seedmint.service.batch.splits import Part


class Labelling:
    """Gives labels to the images of conditional generators."""

    def __init__(
        self,
        choice: int | Literal["balanced", "per-seed"] | Mapping[int, int],
        parts: Sequence[Part],
        rules: Sequence[LabelRule],
    ) -> None:
        """
        Args:
            choice: The labels, as in `Plan`.
            parts: The parts of the data set, in order.
            rules: The label rule of each generator.
        """
        self._choice = choice
        self._rules = rules
        self._starts = np.array([part.start for part in parts], np.int64)
        self._generators = np.array([part.generator for part in parts], np.int64)
        self._classes = np.array([rules[part.generator].classes for part in parts], np.int64)

    def labels(self, positions: NDArray[np.int64], seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the labels of images.

        Args:
            positions: int64[n], positions among all images.
            seeds: int64[n], the seeds of the images.

        Returns:
            int64[n].
        """
        if isinstance(self._choice, int):
            return np.full(len(seeds), self._choice, np.int64)
        parts = np.searchsorted(self._starts, positions, side="right") - 1
        if self._choice == "per-seed":
            return self._labels_of_seeds(seeds, self._generators[parts])
        local = positions - self._starts[parts]
        if isinstance(self._choice, Mapping):
            sequence = label_sequence(self._choice)
            labels: NDArray[np.int64] = sequence[local % len(sequence)]
        else:
            labels = local % self._classes[parts]
        return labels

    def _labels_of_seeds(self, seeds: NDArray[np.int64], generators: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(self._rules) == 1:
            return self._rules[0].labels(seeds)
        labels = np.empty(len(seeds), np.int64)
        for generator in np.unique(generators).tolist():
            rows = generators == generator
            labels[rows] = self._rules[generator].labels(seeds[rows])
        return labels

"""A set of images to measure, with the intermediate results that several metrics share."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedmint.models.noise import LabelRule
from seedmint.training.evaluation.features import Features
from seedmint.training.evaluation.metrics.nearest import Nearest, nearest_neighbors
from seedmint.training.evaluation.random_features import random_features
from seedmint.training.evaluation.reference_data import RealData


class ImageSample:
    """Images to measure. Expensive intermediate results are computed once, when a metric first needs them.

    Args:
        images: uint8[n, channels, height, width].
        labels: int64[n], the requested label of each image; None for a generator without labels.
        real: The real data to compare with.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64] | None, real: RealData) -> None:
        self.images, self.labels, self.real = images, labels, real
        self._nearest: Nearest | None = None

    @cached_property
    def features(self) -> Features:
        """The features and the recognized labels of the images."""
        return self.real.feature_extractor.extract(self.images)

    @cached_property
    def random_features(self) -> NDArray[np.float32]:
        """The features of the fixed random network, float32[n, d]."""
        return random_features(self.images)

    def nearest(self, n: int) -> Nearest:
        """Return the nearest training image of each of the first n images.

        Args:
            n: Number of images.
        """
        if self._nearest is None or len(self._nearest.rows) != n:
            self._nearest = nearest_neighbors(self.images[:n], self.real.train.images)
        return self._nearest


def sample_seeds(
    images: Callable[[NDArray[np.int64]], NDArray[np.uint8]], label_rule: LabelRule | None, n: int, real: RealData
) -> ImageSample:
    """Return the images of seeds 0 to n - 1, each with the label that its seed determines, as the service returns them.

    Args:
        images: Maps int64[n] seeds to uint8[n, height, width, channels].
        label_rule: Gives each seed its label; None without labels.
        n: Number of images.
        real: The real data to compare with.
    """
    seeds = np.arange(n, dtype=np.int64)
    labels = None if label_rule is None else label_rule.labels(seeds)
    return ImageSample(np.ascontiguousarray(images(seeds).transpose(0, 3, 1, 2)), labels, real)

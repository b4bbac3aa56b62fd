"""A set of images to measure, and the images to compare them with."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from seedmint.models.noise import LabelRule
from seedmint.training.evaluation.features import Features
from seedmint.training.evaluation.image_set import ImageSet
from seedmint.training.evaluation.metrics.nearest import Nearest, nearest_neighbors
from seedmint.training.evaluation.reference_data import RealData


class ImageSample:
    """Images to measure. Expensive intermediate results are computed once, when a metric first needs them.

    Args:
        images: uint8[n, channels, height, width], or a set that has features already.
        labels: int64[n], the requested label of each image; None for a generator without labels.
        real: The real data to compare with.
        reference: The real images to compare with; None for those of `real`.
    """

    def __init__(
        self,
        images: NDArray[np.uint8] | ImageSet,
        labels: NDArray[np.int64] | None,
        real: RealData,
        reference: ImageSet | None = None,
    ) -> None:
        self._set = images if isinstance(images, ImageSet) else ImageSet(images, lambda: real.feature_extractor)
        self.images, self.labels, self.real = self._set.images, labels, real
        self.reference = real.reference_set if reference is None else reference
        self._nearest: Nearest | None = None

    @property
    def features(self) -> Features:
        """The features and the recognized labels of the images."""
        return self._set.features

    @property
    def random_features(self) -> NDArray[np.float32]:
        """The features of the fixed random network, float32[n, d]."""
        return self._set.random_features

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

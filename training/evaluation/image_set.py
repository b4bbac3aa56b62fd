"""Images with the features that several metrics share. Each is computed once, when a metric first needs it."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedmint.training.evaluation.features import FeatureExtractor, Features
from seedmint.training.evaluation.random_features import random_features


class ImageSet:
    """Images and their features.

    Args:
        images: uint8[n, channels, height, width].
        extractor: Returns the classifier that extracts features; called when a metric needs them.
    """

    def __init__(self, images: NDArray[np.uint8], extractor: Callable[[], FeatureExtractor]) -> None:
        self.images, self._extractor = images, extractor

    @property
    def extractor(self) -> FeatureExtractor:
        """The classifier that extracts features."""
        return self._extractor()

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def features(self) -> Features:
        """The features and the recognized labels."""
        return self.extractor.extract(self.images)

    @cached_property
    def random_features(self) -> NDArray[np.float32]:
        """The features of the fixed random network, float32[n, d]."""
        return random_features(self.images)

    def take(self, rows: NDArray[np.int64]) -> "ImageSet":
        """Return some of the images. Their features are taken from the features of all images.

        Args:
            rows: int64[m].
        """
        return _Part(self, rows)


def joined(first: ImageSet, second: ImageSet) -> ImageSet:
    """Return the images of two sets, with the features that these have already.

    Args:
        first: A set.
        second: A set with the same extractor.
    """
    return _Joined(first, second)


class _Joined(ImageSet):
    def __init__(self, first: ImageSet, second: ImageSet) -> None:
        super().__init__(np.concatenate([first.images, second.images]), lambda: first.extractor)
        self._parts = first, second

    @cached_property
    def features(self) -> Features:
        a, b = (part.features for part in self._parts)
        return Features(np.concatenate([a.vectors, b.vectors]), np.concatenate([a.labels, b.labels]))

    @cached_property
    def random_features(self) -> NDArray[np.float32]:
        return np.concatenate([part.random_features for part in self._parts])


class _Part(ImageSet):
    def __init__(self, whole: ImageSet, rows: NDArray[np.int64]) -> None:
        super().__init__(whole.images[rows], lambda: whole.extractor)
        self._whole, self._rows = whole, rows

    @cached_property
    def features(self) -> Features:
        features = self._whole.features
        return Features(features.vectors[self._rows], features.labels[self._rows])

    @cached_property
    def random_features(self) -> NDArray[np.float32]:
        return self._whole.random_features[self._rows]

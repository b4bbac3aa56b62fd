"""Features of images: the interface of a feature extractor, and the extractor for Stacked MNIST."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seedmint.training.evaluation.metrics.modes import number_of_digits

NUM_FEATURES = 128
"""Number of features of a classifier."""


@dataclass(frozen=True)
class Features:
    """Features and labels of n images.

    Attributes:
        vectors: float32[n, d], the last hidden layer after the ReLU.
        labels: int64[n], the most probable class.
    """

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


class FeatureExtractor(Protocol):
    """Extracts features from images. Scores of extractors with different names or digests are not comparable."""

    @property
    def name(self) -> str:
        """Name for the metrics."""

    @property
    def digest(self) -> str:
        """SHA-256 of the file of the weights, in hexadecimal."""

    @property
    def accuracy(self) -> float:
        """Share of correct labels on real images, 0 to 1."""

    def extract(self, images: NDArray[np.uint8]) -> Features:
        """Return the features and labels of images, uint8[n, channels, height, width]."""


@dataclass(frozen=True)
class ByChannelExtractor:
    """Extracts features of Stacked MNIST: a classifier of digits processes each of the three channels.

    The features of the three channels are concatenated. The label is the number of the three digits.

    Attributes:
        digits: The classifier of digits.
    """

    digits: FeatureExtractor

    @property
    def name(self) -> str:
        """Name for the metrics."""
        return f"{self.digits.name}-by-channel"

    @property
    def digest(self) -> str:
        """SHA-256 of the file of the weights, in hexadecimal."""
        return self.digits.digest

    @property
    def accuracy(self) -> float:
        """Share of correct labels of single digits, 0 to 1."""
        return self.digits.accuracy

    def extract(self, images: NDArray[np.uint8]) -> Features:
        """Return the features and labels of images.

        Args:
            images: uint8[n, 3, height, width].
        """
        n, channels, height, width = images.shape
        features = self.digits.extract(images.reshape(n * channels, 1, height, width))
        return Features(features.vectors.reshape(n, -1), number_of_digits(features.labels.reshape(n, channels)))

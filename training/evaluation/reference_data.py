"""The real images that generated images are compared with, and their features and distances."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedmint.training.datasets import Dataset, load_splits, load_test, load_train
from seedmint.training.datasets.progress import OnProgress, ignore_progress
from seedmint.training.evaluation.classifier import load_classifier
from seedmint.training.evaluation.features import ByChannelExtractor, FeatureExtractor, Features
from seedmint.training.evaluation.metrics.nearest import nearest_neighbors
from seedmint.training.evaluation.random_features import random_features
from seedmint.training.recipes.data import Data

NUM_CONTROLS = 5_000
"""Number of real images whose distances to the training images are the control of `nearest`."""

_PAPER_VALIDATION = slice(50_000, 51_000)  # training images that select sigma in the paper's code
_VALIDATION = 1_000  # images that select sigma in smaller data sets
_HOLDOUT_INTERVAL = 5


class RealData:
    """A data set for evaluation. Expensive results are computed once, when a metric first needs them.

    Args:
        data: The section `data` of a recipe.
        splits: The results of `load_train` and `load_test`; None loads the data.
        on_progress: Called during long tasks.
        training_digest: Digest of the training data of the measured generator; None if these data are its training data.

    Attributes:
        name: Name of the data set.
        train: The training data of a generator.
        test: The test set of the source, or None.
        is_stacked: Whether the source is Stacked MNIST.
        is_training_data: Whether `train` is the training data of the generator that is measured.
        reference: The images that generated images are compared with: the test set, or all images without a test set.

    Raises:
        DataError: The data do not exist, or have the wrong form.
    """

    def __init__(
        self,
        data: Data,
        splits: tuple[Dataset, Dataset | None] | None = None,
        on_progress: OnProgress = ignore_progress,
        training_digest: str | None = None,
    ) -> None:
        self._data, self._on_progress = data, on_progress
        self.is_stacked = data.source == "stacked-mnist"
        self._whole, self.test = (load_train(data, on_progress), load_test(data)) if splits is None else splits
        self.name = self._whole.name
        self.train = self._whole.first(data.first)
        self.is_training_data = training_digest is None or training_digest == self.train.digest
        self.reference: Dataset = self._whole if self.test is None else self.test

    @cached_property
    def _splits(self) -> tuple[Dataset, Dataset]:
        """The same as `load_splits`, without loading the data again."""
        return self._whole.holdout_every_n(_HOLDOUT_INTERVAL) if self.test is None else (self._whole, self.test)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def reference_text(self) -> str:
        """Name and number of the reference images for protocols, with a note if generators may have trained on them."""
        count = f"{len(self.reference.images):,} images"
        return f"{self.reference.name} ({count}{'' if self.test is not None else '; there is no test set'})"

    @cached_property
    def feature_extractor(self) -> FeatureExtractor:
        """The classifier of these data.

        Raises:
            DataError: The data have no labels.
        """
        if self.is_stacked:
            digits = Data(source="mnist", path=self._data.path)
            return ByChannelExtractor(load_classifier(*load_splits(digits), "mnist", self._on_progress))
        return load_classifier(*self._splits, self.name, self._on_progress)

    @cached_property
    def features(self) -> Features:
        """The features of the reference images."""
        return self.feature_extractor.extract(self.reference.images)

    @cached_property
    def random_features(self) -> NDArray[np.float32]:
        """The features of the reference images in the fixed random network, float32[n, d]."""
        return random_features(self.reference.images)

    @cached_property
    def parzen_splits(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        """The validation images that select sigma, the test images, and both as text for protocols."""
        if self.test is not None and len(self._whole.images) >= _PAPER_VALIDATION.stop:
            valid, test = self._whole.images[_PAPER_VALIDATION], self.test
            valid_text = f"training images {_PAPER_VALIDATION.start}-{_PAPER_VALIDATION.stop - 1}"
        else:
            first, test = self._splits
            valid = first.images[:_VALIDATION]
            valid_text = f"the first {len(valid):,} of {first.name}"
        return valid, test.images, f"by {valid_text}; mean over {test.name} ({len(test.images):,} images)"

    @cached_property
    def control_distances(self) -> tuple[NDArray[np.float64], str]:
        """Distances of real images to their nearest training image, float64[n], and the images as text for protocols."""
        if self.test is not None:
            images = self.test.images[:NUM_CONTROLS]
            return nearest_neighbors(images, self.train.images).distances, f"the first {len(images):,} of {self.test.name}"
        images = self.train.images[:NUM_CONTROLS]
        return (
            nearest_neighbors(images, self.train.images, exclude_self=True).distances,
            f"the first {len(images):,} training images, each among the others",
        )

    def real_baseline(self, n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
        """Return training images to measure in place of generated images.

        Args:
            n: Largest number of images.

        Returns:
            Evenly spaced training images, uint8[at most n, channels, height, width], and their labels or None.
        """
        rows = np.unique(np.linspace(0, len(self.train.images) - 1, n).astype(np.int64))
        labels = self.train.labels
        return self.train.images[rows], None if labels is None else labels[rows]

"""The real images that generated images are compared with. All subsets are parts of the draw `draw-v1`."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedmint.training.datasets import Dataset, load_splits, load_test, load_train
from seedmint.training.datasets.draw import NAME as DRAW
from seedmint.training.datasets.progress import OnProgress, ignore_progress
from seedmint.training.evaluation.classifier import load_classifier
from seedmint.training.evaluation.features import ByChannelExtractor, FeatureExtractor
from seedmint.training.evaluation.image_set import ImageSet
from seedmint.training.evaluation.metrics.cells import MAX_POINTS, Cells, cells_of, coarse_pixels
from seedmint.training.evaluation.metrics.nearest import nearest_neighbors
from seedmint.training.recipes.data import Data

NUM_CONTROLS = 5_000
"""Number of real images whose distances to the training images are the control of `nearest`."""

_VALIDATION = 1_000  # images that select sigma; fewer for small data sets
_MIN_VALIDATION = 100  # images that training left out select sigma, if there are as many
_VALIDATION_SHARE = 5
_HOLDOUT_INTERVAL = 5


class RealData:
    """A data set for evaluation. Expensive results are computed once, when a metric first needs them.

    Three parts of the real images have no image in common: the reference, the images in place of generated images in
    real-against-real draws (the pool), and the images that select sigma. Without a test set, the first half of the draw of all
    images is the reference.

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
        self._stored_order = data.order == "stored"
        self.train = self._whole.first(data.first, self._stored_order)
        self.is_training_data = training_digest is None or training_digest == self.train.digest

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @cached_property
    def reference(self) -> Dataset:
        """The images that generated images are compared with, in the order of the draw."""
        if self.test is not None:
            return self.test.take(self.test.draw_order, self.test.name)
        half = self._whole.draw_order[: (len(self._whole) + 1) // 2]
        return self._whole.take(half, f"one half of {self._whole.name} by {DRAW}")

    @cached_property
    def reference_set(self) -> ImageSet:
        """The reference images with their features."""
        return ImageSet(self.reference.images, lambda: self.feature_extractor)

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
        if self.test is None:
            is_digits = self._data.source == "digits"  # the shipped classifier of digits has a split of its own
            split = self._whole.holdout_every_n if is_digits else self._whole.holdout
            return load_classifier(*split(_HOLDOUT_INTERVAL), self.name, self._on_progress)
        return load_classifier(self._whole, self.test, self.name, self._on_progress)

    @cached_property
    def _pool_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
        """Rows of the pool and of the validation images, in the order of the draw; whether training left out the latter."""
        order = self._whole.draw_order
        if self.test is None:
            order = order[(len(order) + 1) // 2 :]
        count = min(_VALIDATION, len(order) // _VALIDATION_SHARE)
        unseen = order[len(self.train) :] if not self._stored_order else order[order >= len(self.train)]
        has_unseen = self.test is not None and len(self.train) < len(self._whole) and len(unseen) >= min(count, _MIN_VALIDATION)
        valid = (unseen if has_unseen else order)[-count:] if count else order[:0]
        return order[~np.isin(order, valid)], valid, has_unseen

    @property
    def num_pool(self) -> int:
        """Number of real images that can take the place of generated images."""
        return len(self._pool_rows[0])

    def pool(self, n: int) -> ImageSet:
        """Return the first n real images that take the place of generated images.

        Args:
            n: Number of images, at most `num_pool`.
        """
        if self._pool is None or len(self._pool) < n:
            self._pool = ImageSet(self._whole.images[self._pool_rows[0][:n]], lambda: self.feature_extractor)
        return self._pool if len(self._pool) == n else self._pool.take(np.arange(n))

    _pool: ImageSet | None = None

    @cached_property
    def parzen_splits(self) -> tuple[NDArray[np.uint8], str]:
        """The validation images that select sigma, and these as text for protocols."""
        _, rows, has_unseen = self._pool_rows
        kind = "images that training left out" if has_unseen else "training images" if self.test is not None else "other images"
        return self._whole.images[rows], f"by {len(rows):,} {kind} of {self._whole.name}"

    @cached_property
    def cells(self) -> Cells:
        """The cells of the space of images in which copies are counted."""
        rows = self.train.draw_order[:MAX_POINTS]
        points = coarse_pixels(self.train.images[rows])
        return cells_of(points, np.arange(len(points)), len(self.control_images[0]))

    @cached_property
    def control_cells(self) -> NDArray[np.int64]:
        """The cells of the control images, int64[n]."""
        return self.cells.of(coarse_pixels(self.control_images[0]))

    @cached_property
    def control_images(self) -> tuple[NDArray[np.uint8], NDArray[np.float64], str]:
        """Real images that are the control of copies, their distances to the nearest training image, and these as text."""
        if self.test is not None:
            images = self.reference.images[:NUM_CONTROLS]
            distances = nearest_neighbors(images, self.train.images).distances
            return images, distances, f"{len(images):,} of {self.test.name} by {DRAW}"
        rows = self.train.draw_order[:NUM_CONTROLS]
        ordered = np.concatenate([rows, np.setdiff1d(np.arange(len(self.train)), rows)])
        images = self.train.images[rows]
        distances = nearest_neighbors(images, self.train.images[ordered], exclude_self=True).distances
        return images, distances, f"{len(images):,} training images by {DRAW}, each among the others"

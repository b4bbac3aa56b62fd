"""The real images that generated ones are held against, and what is known of them."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedmint.training.datasets import Dataset, load_all, load_splits, load_test
from seedmint.training.evaluation.classifier import ByChannel, FeatureExtractor, Seen, classifier_of
from seedmint.training.evaluation.metrics.nearest import nearest
from seedmint.training.recipes.schema import Data

CONTROLS = 5_000  # real images whose distance to the training images tells what is usual

_PAPER_VALID = slice(50_000, 51_000)  # training images that choose Parzen's sigma, as the paper's code has it
_VALID = 1_000  # of smaller sets


class RealData:
    """A data set, as measuring needs it. What takes long is found out when first asked for, and kept.

    Args:
        data: names it.
        whole: what `load_all` gave; None loads it.

    Attributes:
        name: what the data are called.
        train: what a generator learns from.
        test: the data's own test set, or None.
        stacked: whether they are Stacked MNIST.
        reference: what generated images are compared with: the test set, or without one all images there are.

    Raises:
        DataError: the data are not to be found.
    """

    def __init__(self, data: Data, whole: Dataset | None = None) -> None:
        self._data = data
        self.stacked = data.source == "stacked-mnist"
        self._whole = load_all(data) if whole is None else whole
        self.name = self._whole.name
        self.train = self._whole.first(data.first)
        self.test = load_test(data)
        self.reference: Dataset = self._whole if self.test is None else self.test

    @cached_property
    def _splits(self) -> tuple[Dataset, Dataset]:
        """As `load_splits` has them."""
        return self._whole.parted(5) if self.test is None else (self._whole, self.test)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def reference_text(self) -> str:
        """For protocols: which images, how many, and whether a generator may have learned from them."""
        count = f"{len(self.reference.images):,} images"
        return f"{self.reference.name} ({count}{'' if self.test is not None else '; there is no test set'})"

    @cached_property
    def judge(self) -> FeatureExtractor:
        """The classifier that looks at images of these data.

        Raises:
            DataError: the data have no labels to learn.
        """
        if self.stacked:
            digits = Data(source="mnist", path=self._data.path)
            return ByChannel(classifier_of(*load_splits(digits), "mnist"))
        return classifier_of(*self._splits, self.name)

    @cached_property
    def seen(self) -> Seen:
        """What the judge sees in the reference."""
        return self.judge.see(self.reference.images)

    @cached_property
    def parzen_parts(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        """The images that choose sigma, those whose likelihood is told, and both in words."""
        if self.test is not None and len(self._whole.images) >= _PAPER_VALID.stop:
            valid, test = self._whole.images[_PAPER_VALID], self.test
            told = f"training images {_PAPER_VALID.start}-{_PAPER_VALID.stop - 1}"
        else:
            first, test = self._splits
            valid = first.images[:_VALID]
            told = f"the first {len(valid):,} of {first.name}"
        return valid, test.images, f"by {told}; mean over {test.name} ({len(test.images):,} images)"

    @cached_property
    def control(self) -> tuple[NDArray[np.float64], str]:
        """Distances of real images to their nearest training image, and which images those are, in words."""
        if self.test is not None:
            images = self.test.images[:CONTROLS]
            return nearest(images, self.train.images).distances, f"the first {len(images):,} of {self.test.name}"
        images = self.train.images[:CONTROLS]
        return (
            nearest(images, self.train.images, own=True).distances,
            f"the first {len(images):,} training images, each among the others",
        )

    def stand_in(self, n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
        """At most n of the training images, evenly spaced, and their labels: to be measured in the generated ones' place."""
        rows = np.unique(np.linspace(0, len(self.train.images) - 1, n).astype(np.int64))
        labels = self.train.labels
        return self.train.images[rows], None if labels is None else labels[rows]

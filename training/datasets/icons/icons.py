"""Icons in color, drawn by this code: twelve classes of 32x32 pixels, the same bytes on every machine."""

import numpy as np

from seedmint.training.datasets.dataset import Dataset
from seedmint.training.datasets.icons.drawing import NUMBERS, SIDE
from seedmint.training.datasets.icons.objects import OBJECTS

CLASSES = tuple(OBJECTS)
"""Names of the classes."""

_COUNTS = {"train": 24_000, "test": 12_000}
_KEYS = {"train": 1, "test": 2}  # of Philox, whose raw words never change between NumPy versions
_PART = 500  # icons drawn at once


def load_icons(split: str) -> Dataset:
    """Draw one split: equally many icons of each class, in turn.

    Args:
        split: `train`, 24,000 icons, or `test`, 12,000 others.

    Returns:
        Images, uint8[n, 3, 32, 32], with labels 0 to 11.
    """
    count, classes = _COUNTS[split], len(CLASSES)
    words = np.random.Philox(key=_KEYS[split]).random_raw(count * NUMBERS).reshape(count, NUMBERS)
    numbers = (words >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    images = np.empty((count, 3, SIDE, SIDE), dtype=np.uint8)
    for label, draw in enumerate(OBJECTS.values()):
        for start in range(label, count, _PART * classes):
            rows = slice(start, min(start + _PART * classes, count), classes)
            images[rows] = draw(numbers[rows]).images()
    labels = np.arange(count, dtype=np.int64) % classes
    return Dataset("icons" if split == "train" else "icons test set", images, labels, CLASSES, "CC0-1.0")

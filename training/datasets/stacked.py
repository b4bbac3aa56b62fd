"""Stacked MNIST: three random MNIST digits as the three channels of one image, so that there are 1,000 modes to count.

The set of Metz et al. (2017) and Srivastava et al. (2017); 128,000 images as in PacGAN (Lin et al., 2018).
"""

import numpy as np
from numpy.typing import NDArray

from seedmint.training.datasets.dataset import Dataset

_COUNTS = {"train": 128_000, "test": 26_000}
_KEYS = {"train": 1, "test": 2}  # of Philox, whose raw words NumPy never changes


def stack(digits: Dataset, split: str) -> Dataset:
    """Images of three digits each, drawn with replacement, red first; the label is the number that they spell.

    Args:
        digits: grey images with labels 0 to 9.
        split: `train` or `test`, which decides how many, and the draws.

    Returns:
        uint8[n, 3, height, width] images with labels 0 to 999.
    """
    assert digits.labels is not None
    count = _COUNTS[split]
    words: NDArray[np.uint64] = np.random.Philox(key=_KEYS[split]).random_raw(3 * count)
    rows = (words % np.uint64(len(digits.images))).astype(np.int64).reshape(count, 3)
    labels = digits.labels[rows] @ np.array([100, 10, 1], dtype=np.int64)
    name = "stacked-mnist" if split == "train" else f"stacked-mnist {split} set"
    return Dataset(name, digits.images[rows, 0], labels, tuple(f"{n:03}" for n in range(1000)), digits.licence)

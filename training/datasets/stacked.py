"""Stacked MNIST: three random MNIST digits as the three channels of one image, which gives 1,000 modes.

The data set of Metz et al. (2017) and Srivastava et al. (2017), with 128,000 images as in PacGAN (Lin et al., 2018).
"""

import numpy as np
from numpy.typing import NDArray

from seedmint.training.datasets.dataset import Dataset

_COUNTS = {"train": 128_000, "test": 26_000}
_KEYS = {"train": 1, "test": 2}  # of Philox, whose raw words never change between NumPy versions


def stack_digits(digits: Dataset, split: str) -> Dataset:
    """Draw three digits for each image, with replacement. The label is the number of the three digits, red first.

    Args:
        digits: Grayscale images with labels 0 to 9.
        split: `train` or `test`; gives the number of images and the random numbers.

    Returns:
        Images, uint8[n, 3, height, width], with labels 0 to 999.
    """
    assert digits.labels is not None
    count = _COUNTS[split]
    words: NDArray[np.uint64] = np.random.Philox(key=_KEYS[split]).random_raw(3 * count)
    rows = (words % np.uint64(len(digits.images))).astype(np.int64).reshape(count, 3)
    labels = digits.labels[rows] @ np.array([100, 10, 1], dtype=np.int64)
    name = "stacked-mnist" if split == "train" else f"stacked-mnist {split} set"
    return Dataset(name, digits.images[rows, 0], labels, tuple(f"{n:03}" for n in range(1000)), digits.licence)

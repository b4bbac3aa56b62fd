"""The digits of scikit-learn: 1,797 handwritten digits of 8x8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998)."""

import numpy as np

from seedmint.training.datasets.dataset import Dataset


def load_digits() -> Dataset:
    """Return all 1,797 images, with the gray levels 0 to 16 scaled to 0 to 255."""
    from sklearn.datasets import load_digits as sklearn_digits  # the import takes a second

    bunch = sklearn_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    return Dataset("digits", images, bunch.target.astype(np.int64), tuple("0123456789"), "CC-BY-4.0")

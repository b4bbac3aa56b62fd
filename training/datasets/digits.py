"""scikit-learn's digits: 1,797 real handwritten digits of 8x8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998)."""

import numpy as np

from seedmint.training.datasets.dataset import Dataset


def load_digits() -> Dataset:
    """All 1,797 images, their grey levels 0 to 16 stretched to 0 to 255."""
    from sklearn.datasets import load_digits as sklearn_digits  # a second to load, for this data set alone

    bunch = sklearn_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    return Dataset("digits", images, bunch.target.astype(np.int64), tuple("0123456789"), "CC-BY-4.0")

"""Modes of Stacked MNIST, by the protocol of Metz et al. (2017), Srivastava et al. (2017) and PacGAN (Lin et al., 2018).

A classifier of digits labels each channel of 26,000 generated images; the three digits are one of 1,000 modes. The metrics are
the number of modes that occur, and the reverse Kullback-Leibler divergence of the generated modes from the modes of the data.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.training.evaluation.metrics.labels import histogram, kl_divergence

NUM_MODES = 1000
SAMPLES = 26_000
"""Number of generated images."""


@dataclass(frozen=True)
class Modes:
    """Result of `modes`.

    Attributes:
        hit: Number of modes that occur.
        kl: KL(generated || data) in nats.
    """

    hit: int
    kl: float


def number_of_digits(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number with the given decimal digits.

    Args:
        digits: int64[n, 3], each 0 to 9.

    Returns:
        int64[n], each 0 to 999.
    """
    return digits @ np.array([100, 10, 1], dtype=np.int64)


def modes(generated: NDArray[np.int64], data: NDArray[np.int64]) -> Modes:
    """Count the modes and compare their frequencies.

    Args:
        generated: int64[n], modes of the generated images, 0 to 999.
        data: int64[m], modes of the data; all 1,000 must occur.
    """
    counts = histogram(generated, NUM_MODES)
    return Modes(int((counts > 0).sum()), kl_divergence(counts, histogram(data, NUM_MODES)))

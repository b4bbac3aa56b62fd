"""Modes of Stacked MNIST, by the protocol of Metz et al. (2017), Srivastava et al. (2017) and PacGAN (Lin et al., 2018).

A classifier of digits looks at each channel of 26,000 generated images; the three digits spell one of 1,000 modes. Counted are
the modes that occur at all, and the reverse Kullback-Leibler divergence, of the generated modes from the data's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.training.evaluation.metrics.labels import histogram, kl_divergence

MODES = 1000
SAMPLES = 26_000


@dataclass(frozen=True)
class Modes:
    """How many of the `MODES` occur, and KL(generated || data) in nats."""

    hit: int
    kl: float


def spelled(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[n], 0 to 999: the numbers that int64[n, 3] digits spell."""
    return digits @ np.array([100, 10, 1], dtype=np.int64)


def modes(generated: NDArray[np.int64], data: NDArray[np.int64]) -> Modes:
    """The two figures.

    Args:
        generated, data: int64[n] and int64[m] modes, 0 to 999; all 1,000 occur in the data.
    """
    counts = histogram(generated, MODES)
    return Modes(int((counts > 0).sum()), kl_divergence(counts, histogram(data, MODES)))

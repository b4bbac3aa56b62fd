"""Labels as a classifier sees them: how often the one that was asked for, and how often each."""

import math

import numpy as np
from numpy.typing import NDArray


def label_accuracy(seen: NDArray[np.int64], asked: NDArray[np.int64]) -> tuple[float, float]:
    """The share of images seen as the label that was asked for, and its standard error sqrt(p (1 - p) / n).

    Args:
        seen, asked: int64[n].
    """
    share = float((seen == asked).mean())
    return share, math.sqrt(share * (1 - share) / len(seen))


def histogram(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """int64[classes]: how often each label is there."""
    return np.bincount(labels, minlength=classes).astype(np.int64)


def kl_divergence(counts: NDArray[np.int64], reference: NDArray[np.int64]) -> float:
    """KL(p || q) in nats of the two histograms' shares, p the counts' and q the reference's; infinite where q alone is 0.

    Of n draws from q itself it is about (classes - 1) / 2n, not 0.

    Args:
        counts, reference: int64[classes], at least one count each.
    """
    p, q = counts / counts.sum(), reference / reference.sum()
    some = p > 0
    with np.errstate(divide="ignore"):
        return float(np.sum(p[some] * np.log(p[some] / q[some])))

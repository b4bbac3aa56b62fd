"""Metrics of the labels that a classifier assigns to generated images."""

import math

import numpy as np
from numpy.typing import NDArray


def label_accuracy(recognized: NDArray[np.int64], requested: NDArray[np.int64]) -> tuple[float, float]:
    """Return the share of images with the requested label.

    Args:
        recognized: int64[n], the classifier's labels.
        requested: int64[n].

    Returns:
        The share p, and its standard error sqrt(p (1 - p) / n).
    """
    share = float((recognized == requested).mean())
    return share, math.sqrt(share * (1 - share) / len(recognized))


def histogram(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the count of each label, int64[classes].

    Args:
        labels: int64[n].
        classes: Number of classes.
    """
    return np.bincount(labels, minlength=classes).astype(np.int64)


def kl_divergence(counts: NDArray[np.int64], reference: NDArray[np.int64]) -> float:
    """Return KL(p || q) in nats, where p and q are the normalized histograms.

    The result is infinite if q is 0 where p is not. For n draws from q, the expectation is about (classes - 1) / 2n, not 0.

    Args:
        counts: int64[classes], the histogram of p, not empty.
        reference: int64[classes], the histogram of q, not empty.
    """
    p, q = counts / counts.sum(), reference / reference.sum()
    positive = p > 0
    with np.errstate(divide="ignore"):
        return float(np.sum(p[positive] * np.log(p[positive] / q[positive])))

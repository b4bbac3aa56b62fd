"""The kernel inception distance (Bińkowski et al., 2018): the squared maximum mean discrepancy, kernel (x.y / d + 1)^3.

The unbiased estimate (Gretton et al., 2012, lemma 6) of all pairs: 0 in the mean for two sets of one distribution, whatever
their size, so that it may come out below. The usual mean of 100 subsets of 1,000 costs as much, with more noise.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GROUPS = 20


@dataclass(frozen=True)
class Kid:
    """The distance, and its standard error by leaving out each of `GROUPS` groups of both sets (jackknife).

    Of sets of one distribution the error told is about 1.4 times the true one, as ever where lemma 6 degenerates.
    """

    value: float
    standard_error: float


def kid(a: NDArray[np.floating], b: NDArray[np.floating]) -> Kid:
    """The distance, in float64.

    Args:
        a, b: [n, d] and [m, d], in no order that matters, at least 3 each.
    """
    groups = min(GROUPS, len(a), len(b))
    x, y = (torch.tensor_split(torch.from_numpy(features).double(), groups) for features in (a, b))
    pairs = _within(x), _within(y), np.array([[float(_kernel(one, other).sum()) for other in y] for one in x])
    sizes = np.array([len(part) for part in x]), np.array([len(part) for part in y])
    left_out = np.array([_estimate(pairs, sizes, np.arange(groups) != group) for group in range(groups)])
    variance = (groups - 1) / groups * np.sum((left_out - left_out.mean()) ** 2)
    return Kid(_estimate(pairs, sizes, np.ones(groups, dtype=bool)), math.sqrt(variance))


_Sums = NDArray[np.float64]


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _within(parts: tuple[Tensor, ...]) -> _Sums:
    """float64[groups, groups]: the kernel summed over the pairs of two groups, but for an example's pair with itself."""
    sums = np.zeros((len(parts), len(parts)))
    for i, one in enumerate(parts):
        for j, other in enumerate(parts[: i + 1]):
            kernel = _kernel(one, other)
            sums[i, j] = sums[j, i] = float(kernel.sum() - (kernel.trace() if i == j else 0))
    return sums


def _estimate(
    pairs: tuple[_Sums, _Sums, _Sums], sizes: tuple[NDArray[np.int64], NDArray[np.int64]], kept: NDArray[np.bool_]
) -> float:
    """Lemma 6 from the groups that are kept."""
    xx, yy, xy = (float(sums[np.ix_(kept, kept)].sum()) for sums in pairs)
    n, m = (int(size[kept].sum()) for size in sizes)
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)

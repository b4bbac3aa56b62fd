"""The Parzen window log-likelihood, as the paper's Table 1 has it (Goodfellow et al., 2014; goodfeli/adversarial).

The density is an even mixture of spherical Gaussians of width sigma around generated images; sigma is the one of
`SIGMAS` that makes validation images likeliest. Known to be a poor guide to the quality of images (Theis et al., 2016).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIGMAS = np.logspace(-1, 0, 10)

_ROWS = 500  # points at a time: 10,000 samples are 40 MB of distances


@dataclass(frozen=True)
class Parzen:
    """Mean log-likelihood of the test points in nats, its standard error std / sqrt(n), and the sigma chosen."""

    mean: float
    standard_error: float
    sigma: float


def parzen(
    samples: NDArray[np.float64], valid: NDArray[np.float64], test: NDArray[np.float64], sigmas: NDArray[np.float64] = SIGMAS
) -> Parzen:
    """The log-likelihood of `test` under windows around `samples`, with the sigma that suits `valid` best.

    Args:
        samples, valid, test: float64[n, d], pixels in [0, 1].
        sigmas: widths to choose from.
    """
    centres = torch.from_numpy(samples)
    means = _log_likelihoods(centres, torch.from_numpy(valid), sigmas).mean(dim=1)
    sigma = float(sigmas[int(means.argmax())])
    found = _log_likelihoods(centres, torch.from_numpy(test), np.array([sigma]))[0]
    return Parzen(float(found.mean()), float(found.std(correction=0)) / math.sqrt(len(test)), sigma)


def _log_likelihoods(centres: Tensor, points: Tensor, sigmas: NDArray[np.float64]) -> Tensor:
    """float64[sigmas, points]: log mean_j N(x; centre_j, sigma^2 I) of each point, in nats."""
    n, d = centres.shape
    norms = (centres**2).sum(dim=1)
    parts = []
    for x in torch.split(points, _ROWS):
        distances = ((x**2).sum(dim=1, keepdim=True) + norms - 2 * x @ centres.T).clamp_(min=0)
        parts.append(torch.stack([torch.logsumexp(distances / (-2 * sigma**2), dim=1) for sigma in sigmas]))
    offset = torch.tensor([math.log(n) + d * math.log(sigma * math.sqrt(2 * math.pi)) for sigma in sigmas], dtype=torch.float64)
    return torch.cat(parts, dim=1) - offset[:, None]

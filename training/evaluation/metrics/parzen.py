"""The Parzen window log-likelihood of the paper's Table 1 (Goodfellow et al., 2014; goodfeli/adversarial).

The density is a uniform mixture of spherical Gaussians of width sigma around generated images. Sigma is the member of `SIGMAS`
that maximizes the likelihood of validation images. The metric says little about the quality of images (Theis et al., 2016).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIGMAS = np.logspace(-1, 0, 10)
"""Candidate widths of the Gaussians."""

_BATCH = 500  # points; with 10,000 samples, a batch has 40 MB of distances


@dataclass(frozen=True)
class Parzen:
    """Result of `parzen`.

    Attributes:
        mean: Mean log-likelihood of the test points, in nats.
        standard_error: std / sqrt(n) of the test points.
        sigma: The selected width.
    """

    mean: float
    standard_error: float
    sigma: float


def parzen(
    samples: NDArray[np.float64], valid: NDArray[np.float64], test: NDArray[np.float64], sigmas: NDArray[np.float64] = SIGMAS
) -> Parzen:
    """Return the log-likelihood of test points under Gaussians around samples.

    Args:
        samples: float64[n, d], generated images, pixels in [0, 1].
        valid: float64[m, d], the images that select sigma.
        test: float64[k, d], the images that are scored.
        sigmas: Candidate widths.
    """
    centers = torch.from_numpy(samples)
    means = _log_likelihoods(centers, torch.from_numpy(valid), sigmas).mean(dim=1)
    sigma = float(sigmas[int(means.argmax())])
    scores = _log_likelihoods(centers, torch.from_numpy(test), np.array([sigma]))[0]
    return Parzen(float(scores.mean()), float(scores.std(correction=0)) / math.sqrt(len(test)), sigma)


def _log_likelihoods(centers: Tensor, points: Tensor, sigmas: NDArray[np.float64]) -> Tensor:
    """Return float64[sigmas, points]: log mean_j N(x; center_j, sigma^2 I) of each point, in nats."""
    n, d = centers.shape
    norms = (centers**2).sum(dim=1)
    parts = []
    for x in torch.split(points, _BATCH):
        distances = ((x**2).sum(dim=1, keepdim=True) + norms - 2 * x @ centers.T).clamp_(min=0)
        parts.append(torch.stack([torch.logsumexp(distances / (-2 * sigma**2), dim=1) for sigma in sigmas]))
    offset = torch.tensor([math.log(n) + d * math.log(sigma * math.sqrt(2 * math.pi)) for sigma in sigmas], dtype=torch.float64)
    return torch.cat(parts, dim=1) - offset[:, None]

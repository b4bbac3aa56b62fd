"""The generator of series of different lengths, or with missing values: see `seedmint.training.datasets.series_encoding`."""

import math

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor, nn

from seedmint.models.series import series_lengths
from seedmint.training.datasets.series_encoding import SeriesEncoding


class SeriesG(nn.Module):
    """z -> length -> network -> encoded series.

    The length is the number of thresholds up to one number of the noise, so it has no rounding, and every machine computes the
    same length. The network receives the length, standardized, as one number more.

    Args:
        network: Maps float32[m, z_dim + has_lengths] and labels to standardized series, float32[m, length, channels].
        encoding: The encoding of the series.
        z_dim: Length of the noise of the network.
        prior: `normal` or `uniform`.
    """

    steps: Tensor
    lengths: Tensor
    features: Tensor
    thresholds: Tensor
    masks: Tensor
    firsts: Tensor
    copies: Tensor

    def __init__(self, network: nn.Module, encoding: SeriesEncoding, z_dim: int, prior: str) -> None:
        super().__init__()
        self.network, self.z_dim, self.prior = network, z_dim, prior
        self.has_lengths, self.is_masked, self.by_class = encoding.has_lengths, encoding.is_masked, len(encoding.counts) > 1
        lengths, counts = np.array(encoding.lengths, np.float64), np.array(encoding.counts, np.float64)
        mean = float(np.average(lengths, weights=counts[0]))
        std = math.sqrt(float(np.average((lengths - mean) ** 2, weights=counts[0]))) or 1.0
        below = (counts.cumsum(axis=1) / counts.sum(axis=1, keepdims=True))[:, :-1]
        thresholds = ndtri(below) if prior == "normal" else (2 * below - 1) * math.sqrt(3.0)
        self._constant("steps", np.arange(encoding.length))
        self._constant("lengths", np.array(encoding.lengths))
        self._constant("features", ((lengths - mean) / std).astype(np.float32))
        self._constant("thresholds", thresholds.astype(np.float32))
        if encoding.masks is not None:
            own = _mask_lengths(encoding)
            self._constant("masks", encoding.masks)
            self._constant("firsts", np.searchsorted(own, encoding.lengths))
            self._constant("copies", np.searchsorted(own, encoding.lengths, side="right"))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map noise, float32[m, z_dim + extra], and int64[m] labels to encoded series, float32[m, length, width]."""
        base = z[:, : self.z_dim]
        index = self._length_index(z[:, self.z_dim], label) if self.has_lengths else None
        if index is not None:
            base = torch.cat([base, self.features[index][:, None]], dim=1)
        values: Tensor = self.network(base) if label is None else self.network(base, label)
        known = self._known(index, z, values)
        mask = known.to(values.dtype)
        return torch.cat([values * mask, mask if self.is_masked else mask[:, :, :1]], dim=2)

    def _length_index(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Return the number of each series' length among the lengths, int64[m]."""
        rows = self.thresholds[label + 1] if label is not None and self.by_class else self.thresholds[:1]
        return (z[:, None] >= rows).to(torch.int64).sum(dim=1)

    def _known(self, index: Tensor | None, z: Tensor, values: Tensor) -> Tensor:
        """Return which values are before the end and, during the training, not missing: bool[m, length, channels]."""
        if index is None:
            known = torch.ones_like(values, dtype=torch.bool)
        else:
            known = (self.steps < self.lengths[index][:, None])[:, :, None].expand_as(values)
        if not (self.training and self.is_masked):
            return known
        position = index if index is not None else torch.zeros_like(z[:, 0], dtype=torch.int64)
        first, end = self.firsts[position], self.copies[position]
        row = first + ((end - first) * _uniform(z[:, -1], self.prior)).to(torch.int64)
        # The masks may be of a part of the training series only, without a series of this length.
        return known & self.masks[row.clamp(max=len(self.masks) - 1)]

    def _constant(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(values), persistent=False)


def _mask_lengths(encoding: SeriesEncoding) -> np.ndarray:
    """Return the length of each mask, int64[k], ascending."""
    assert encoding.masks is not None
    if not encoding.has_lengths:
        return np.full(len(encoding.masks), encoding.length)
    return series_lengths(np.where(encoding.masks, 0.0, np.nan).astype(np.float32))


def _uniform(z: Tensor, prior: str) -> Tensor:
    """Return noise of the prior as numbers from 0 to below 1."""
    u = 0.5 * (1 + torch.erf(z * math.sqrt(0.5))) if prior == "normal" else z / (2 * math.sqrt(3.0)) + 0.5
    return u.clamp(0, 1 - 1e-6)

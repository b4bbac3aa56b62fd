"""Batch normalisation (Ioffe & Szegedy, 2015) over the whole minibatch, however many processes share it."""

import torch
from torch import Tensor, nn

from seedmint.training.optimization import distributed


class _Synchronised(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation whose statistics in training are those of all processes' rows."""

    def forward(self, h: Tensor) -> Tensor:
        """float[m, width, …] -> the same."""
        if not self.training or distributed.size() == 1:
            return super().forward(h)
        wide = h.float()
        others = [axis for axis in range(h.ndim) if axis != 1]
        shape = [-1, *[1] * (h.ndim - 2)]
        n = h.numel() // h.shape[1] * distributed.size()
        mean = distributed.total(wide.sum(others)) / n
        centred = wide - mean.view(shape)
        variance = distributed.total(centred.square().sum(others)) / n
        self._follow(mean.detach(), variance.detach() * (n / (n - 1)))
        result = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(h.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class BatchNorm1d(_Synchronised, nn.BatchNorm1d):
    """`nn.BatchNorm1d` over all processes' rows."""


class BatchNorm2d(_Synchronised, nn.BatchNorm2d):
    """`nn.BatchNorm2d` over all processes' rows."""

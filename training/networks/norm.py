"""Batch normalisation (Ioffe & Szegedy, 2015) over the whole minibatch, however many processes share it."""

import torch
from torch import Tensor, nn

from training import parallel


class BatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d`, whose statistics in training are those of all processes' rows."""

    def forward(self, h: Tensor) -> Tensor:
        """float[m, width, height, width] -> the same."""
        if not self.training or parallel.size() == 1:
            return super().forward(h)
        wide = h.float()
        n = h.numel() // h.shape[1] * parallel.size()
        mean = parallel.total(wide.sum((0, 2, 3))) / n
        centred = wide - mean[:, None, None]
        variance = parallel.total(centred.square().sum((0, 2, 3))) / n
        self._follow(mean.detach(), variance.detach() * (n / (n - 1)))
        result = centred * (variance + self.eps).rsqrt()[:, None, None]
        if self.affine:
            result = result * self.weight[:, None, None] + self.bias[:, None, None]
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

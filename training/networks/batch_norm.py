"""Batch normalization (Ioffe & Szegedy, 2015) over the whole minibatch in distributed training."""

import torch
from torch import Tensor, nn

from seedmint.training.optimization import distributed


class _SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalization whose training statistics include the rows of all processes."""

    def forward(self, h: Tensor) -> Tensor:
        """Normalize float[m, width, ...] over all axes but the second."""
        if not self.training or distributed.world_size() == 1:
            return super().forward(h)
        h32 = h.float()
        axes = [axis for axis in range(h.ndim) if axis != 1]
        shape = [-1, *[1] * (h.ndim - 2)]
        n = h.numel() // h.shape[1] * distributed.world_size()
        mean = distributed.all_reduce_sum(h32.sum(axes)) / n
        centered = h32 - mean.view(shape)
        variance = distributed.all_reduce_sum(centered.square().sum(axes)) / n
        self._update_running_statistics(mean.detach(), variance.detach() * (n / (n - 1)))
        result = centered * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(h.dtype)

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class BatchNorm1d(_SyncBatchNorm, nn.BatchNorm1d):
    """`nn.BatchNorm1d` over the rows of all processes."""


class BatchNorm2d(_SyncBatchNorm, nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the rows of all processes."""

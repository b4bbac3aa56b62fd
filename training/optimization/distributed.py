"""Data-parallel training: `torchrun` starts several processes, and each computes on its rows of every minibatch.

Every process draws all random numbers from the same seeds and then takes its own rows. Gradients and the statistics of batch
normalization are reduced over all processes. The result of a run therefore does not depend on the number of processes, except
for the order of floating-point sums.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import functional

from seedmint.models.errors import UserError


class DistributedError(UserError):
    """The processes of a run cannot share it, or one of them has ended."""

    reason = "distributed"


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the process group of `torchrun`. Does nothing in a process that `torchrun` did not start.

    Args:
        device: Device of this process. Transfers use gloo on the CPU and NCCL between GPUs.
    """
    if not distributed.is_torchelastic_launched():
        yield
        return
    distributed.init_process_group("gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def world_size() -> int:
    """Return the number of processes that share the run."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_main_process() -> bool:
    """Return whether this process writes files and prints progress."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def local_device(device: torch.device) -> torch.device:
    """Return the GPU that this process uses. A CPU device is returned unchanged."""
    if device.type == "cpu" or not distributed.is_torchelastic_launched():
        return device
    return torch.device(device.type, int(os.environ["LOCAL_RANK"]))


def local_rows(m: int) -> slice:
    """Return this process's rows of a minibatch.

    Args:
        m: Size of the whole minibatch.

    Raises:
        DistributedError: m is not a multiple of the number of processes.
    """
    if m % world_size():
        raise DistributedError(
            f"{world_size()} processes cannot share a minibatch of {m} evenly; choose a multiple",
            field="m",
            reason="not_divisible",
        )
    rows = m // world_size()
    first = rows * (distributed.get_rank() if distributed.is_initialized() else 0)
    return slice(first, first + rows)


def all_reduce_mean(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in one transfer. All processes then hold the same bits.

    Args:
        tensors: Tensors of one dtype on one device; changed in place.
    """
    if world_size() == 1:
        return
    tensors = list(tensors)
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    _all_reduce(flat)
    flat /= world_size()
    means = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, mean in zip(tensors, means, strict=True):
        tensor.copy_(mean.view_as(tensor))


def all_reduce_sum(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes. Gradients flow through the sum."""
    result: Tensor = _AllReduceSum.apply(tensor)  # type: ignore[no-untyped-call]
    return result


class _AllReduceSum(torch.autograd.Function):
    """Each process's result depends on the tensors of all processes, so the gradient is also a sum over all processes."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        result = tensor.clone()
        _all_reduce(result)
        return result

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return all_reduce_sum(gradient)


def all_reduce_max(number: int) -> int:
    """Return the largest of all processes' numbers. The transfer uses the CPU and does not wait for a GPU."""
    if world_size() == 1:
        return number
    shared = torch.tensor(number)
    _all_reduce(shared, distributed.ReduceOp.MAX)
    return int(shared)


def _all_reduce(tensor: Tensor, operation: Any = distributed.ReduceOp.SUM) -> None:
    try:
        distributed.all_reduce(tensor, operation)
    except RuntimeError as error:
        raise DistributedError(f"another process of this run has ended or cannot be reached: {error}") from None


def dropout(h: Tensor, p: float, training: bool) -> Tensor:
    """Apply dropout with this process's rows of the mask that a single process would draw.

    Args:
        h: float[rows, width].
        p: Probability of setting an element to zero.
        training: Whether the network is in training mode; otherwise `h` is returned unchanged.
    """
    if not training or world_size() == 1:
        return functional.dropout(h, p, training)
    rows = len(h) * world_size()
    mask = torch.empty(rows, *h.shape[1:], dtype=h.dtype, device=h.device).bernoulli_(1 - p)[local_rows(rows)]
    return h * mask / (1 - p)


def rand(rows: int, *shape: int, device: torch.device) -> Tensor:
    """Return this process's rows of the uniform numbers that a single process would draw: float32[rows, ...] in [0, 1).

    Args:
        rows: Number of this process's rows.
        shape: Shape of one row.
        device: Device of the numbers.
    """
    total = rows * world_size()
    return torch.rand(total, *shape, device=device)[local_rows(total)]


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the body in the main process first, then in the other processes."""
    if not is_main_process():
        barrier()
    yield
    if is_main_process():
        barrier()


def barrier() -> None:
    """Wait until all processes have called this function."""
    all_reduce_max(0)

"""Several processes, one run: started by `torchrun`, each computes on its part of every minibatch.

All that is random is drawn whole by every process, from the same seeds, and then cut; gradients and the statistics of batch
normalisation are taken over all processes. So what a run computes does not depend on their number, but for the order of sums.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import functional

from seedmint.models.errors import UserError


class ParallelError(UserError):
    """Processes that cannot work together, or that have lost one another."""


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """With the other processes that `torchrun` has started; alone where it has not.

    Args:
        device: where this process computes; its transfers go by gloo on the CPU and by NCCL between GPUs.
    """
    if not distributed.is_torchelastic_launched():
        yield
        return
    distributed.init_process_group("gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def size() -> int:
    """How many processes share the run."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def part_of(m: int) -> slice:
    """This process's rows of a minibatch.

    Raises:
        ParallelError: m cannot be shared evenly.
    """
    if m % size():
        raise ParallelError(f"m: a minibatch of {m} cannot be shared evenly by {size()} processes")
    each = m // size()
    first = each * (distributed.get_rank() if distributed.is_initialized() else 0)
    return slice(first, first + each)


def average(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in one transfer; afterwards all have the same bits."""
    if size() == 1:
        return
    found = list(tensors)
    flat = torch.cat([tensor.flatten() for tensor in found])
    _all_reduce(flat)
    flat /= size()
    means = torch.split(flat, [tensor.numel() for tensor in found])
    for tensor, mean in zip(found, means, strict=True):
        tensor.copy_(mean.view_as(tensor))


def total(tensor: Tensor) -> Tensor:
    """The sum over all processes, through which gradients flow."""
    result: Tensor = _Total.apply(tensor)  # type: ignore[no-untyped-call]
    return result


class _Total(torch.autograd.Function):
    """Every process's result depends on every process's tensor, so the gradient is a sum over all processes too."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        result = tensor.clone()
        _all_reduce(result)
        return result

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return total(gradient)


def _all_reduce(tensor: Tensor, operation: Any = distributed.ReduceOp.SUM) -> None:
    try:
        distributed.all_reduce(tensor, operation)
    except RuntimeError as error:
        raise ParallelError(f"another process of this run has ended or cannot be reached: {error}") from None


def dropout(h: Tensor, p: float, training: bool) -> Tensor:
    """torch's dropout of float[rows, width], by this process's rows of the mask that one process would have drawn."""
    if not training or size() == 1:
        return functional.dropout(h, p, training)
    rows = len(h) * size()
    mask = torch.empty(rows, *h.shape[1:], dtype=h.dtype, device=h.device).bernoulli_(1 - p)[part_of(rows)]
    return h * mask / (1 - p)


def largest(number: int) -> int:
    """The largest of all processes' numbers. On the CPU, so that no GPU is waited for."""
    if size() == 1:
        return number
    shared = torch.tensor(number)
    _all_reduce(shared, distributed.ReduceOp.MAX)
    return int(shared)


@contextmanager
def first_before_others() -> Iterator[None]:
    """What is in it is done by the first process, and when that is through, by the others."""
    if not is_first():
        wait()
    yield
    if is_first():
        wait()


def wait() -> None:
    """Until all processes are here."""
    largest(0)


def own(device: torch.device) -> torch.device:
    """The GPU that is this process's among those of its machine; the CPU as it is."""
    if device.type == "cpu" or not distributed.is_torchelastic_launched():
        return device
    return torch.device(device.type, int(os.environ["LOCAL_RANK"]))

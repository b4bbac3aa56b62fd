"""Global settings of torch that determine the bits of a result."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_settings(threads: int, device: torch.device) -> Iterator[None]:
    """Set the number of threads, and deterministic algorithms on the CPU. Restores the earlier settings on exit.

    Args:
        threads: Number of CPU threads; floating-point sums depend on it.
        device: Device of the training.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), _fill_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(device.type == "cpu")
    _set_fill_memory(False)  # filling costs time, and no code here reads uninitialized memory
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        _set_fill_memory(before[2])


def _fill_memory() -> bool:
    return bool(torch.utils.deterministic.fill_uninitialized_memory)  # type: ignore[attr-defined]


def _set_fill_memory(value: bool) -> None:
    torch.utils.deterministic.fill_uninitialized_memory = value  # type: ignore[attr-defined]

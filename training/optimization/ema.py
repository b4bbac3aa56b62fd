"""Exponential moving average (EMA) of the generator's weights (Yazici et al., 2019)."""

import torch
from torch import Tensor, nn


def weight_of_newest(decay: float, update: int) -> float:
    """Return 1 - d, the weight of the newest generator in the average.

    The decay d = min(decay, (1 + update) / (10 + update)) is smaller at first, so that the average soon forgets the initial
    weights. At a negative `update` the average equals the generator.

    Args:
        decay: The final decay, 0 to 1.
        update: Number of earlier updates of the average; negative before the average starts.
    """
    return 1 - min(decay, (1 + update) / (10 + update)) if update >= 0 else 1.0


@torch.no_grad()
def update_ema(ema: nn.Module, generator: nn.Module, weight: float | Tensor) -> None:
    """Update the average in place: ema <- (1 - weight) * ema + weight * generator, for weights and running statistics.

    Args:
        ema: The averaged generator.
        generator: The generator after its newest update.
        weight: See `weight_of_newest`; a number, or float32[] on the device.
    """
    averaged, current = [], []
    for old, new in zip(ema.state_dict().values(), generator.state_dict().values(), strict=True):
        if old.is_floating_point():
            averaged.append(old)
            current.append(new)
        else:
            old.copy_(new)
    if isinstance(weight, Tensor):
        changes = torch._foreach_sub(current, averaged)
        torch._foreach_mul_(changes, weight)
        torch._foreach_add_(averaged, changes)
    else:
        torch._foreach_lerp_(averaged, current, weight)

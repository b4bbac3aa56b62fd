"""Exponential moving average (EMA) of the generator's weights (Yazici et al., 2019)."""

import torch
from torch import nn


@torch.no_grad()
def update_ema(ema: nn.Module, generator: nn.Module, decay: float, update: int) -> None:
    """Update the average in place: ema <- d * ema + (1 - d) * generator, for weights and running statistics.

    The decay d = min(decay, (1 + update) / (10 + update)) is smaller at first, so that the average soon forgets the initial
    weights. At a negative `update` the average equals the generator.

    Args:
        ema: The averaged generator.
        generator: The generator after its newest update.
        decay: The final decay, 0 to 1.
        update: Number of earlier updates of the average; negative before the average starts.
    """
    weight = 1 - min(decay, (1 + update) / (10 + update)) if update >= 0 else 1.0
    averaged, current = [], []
    for old, new in zip(ema.state_dict().values(), generator.state_dict().values(), strict=True):
        if old.is_floating_point():
            averaged.append(old)
            current.append(new)
        else:
            old.copy_(new)
    torch._foreach_lerp_(averaged, current, weight)

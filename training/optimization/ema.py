"""The exponential moving average of the generator (Yazici et al., 2019): what is exported, when a recipe keeps it."""

import torch
from torch import nn


@torch.no_grad()
def update_ema(average: nn.Module, generator: nn.Module, decay: float, update: int) -> None:
    """average <- d * average + (1 - d) * generator, for weights and running statistics alike.

    Early on d is smaller, min(decay, (1 + update) / (10 + update)), so that the first weights are soon forgotten. Before the
    average begins, at a negative `update`, it is the generator itself.
    """
    weight = 1 - min(decay, (1 + update) / (10 + update)) if update >= 0 else 1.0
    averages, currents = [], []
    for old, new in zip(average.state_dict().values(), generator.state_dict().values(), strict=True):
        if old.is_floating_point():
            averages.append(old)
            currents.append(new)
        else:
            old.copy_(new)
    torch._foreach_lerp_(averages, currents, weight)

"""Optimizers and their schedules."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn, optim

from seedmint.training.recipes.optimizers import Adam, Momentum, OptimizerConfig
from seedmint.training.recipes.schedules import Schedule, value_at


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter], capturable: bool = False) -> optim.Optimizer:
    """Return the torch optimizer that a recipe describes.

    Args:
        config: The optimizer's fields in the recipe.
        parameters: The parameters to optimize.
        capturable: Whether CUDA graphs can record the optimizer's steps; only on CUDA.
    """
    rate = value_at(config.learning_rate, 0)
    if isinstance(config, Momentum):
        return optim.SGD(parameters, lr=rate, momentum=config.momentum, fused=True)
    if isinstance(config, Adam):
        betas = config.beta1, value_at(config.beta2, 0)
        return optim.Adam(parameters, lr=rate, betas=betas, eps=config.epsilon, fused=True, capturable=capturable)
    return optim.RMSprop(parameters, rate, config.alpha, config.epsilon, foreach=True, capturable=capturable)


def apply_schedule(config: OptimizerConfig, optimizer: optim.Optimizer, update: int) -> None:
    """Set the learning rate, the momentum and beta2 for one update.

    They depend only on the number of the update, so a checkpoint saves no state for them.

    Args:
        config: The optimizer's fields in the recipe.
        optimizer: Changed in place.
        update: Number of the update, from 0.
    """
    group = optimizer.param_groups[0]
    group["lr"] = learning_rate_at(config, update)
    if isinstance(config, Momentum) and config.final_momentum is not None:
        group["momentum"] = momentum_at(config, update)
    if isinstance(config, Adam):
        group["betas"] = config.beta1, value_at(config.beta2, update)


@torch.no_grad()
def step_with_tensors(config: OptimizerConfig, optimizer: optim.Optimizer, learning_rate: Tensor, momentum: Tensor) -> None:
    """Step with a learning rate and a momentum that are on the device, so that a recorded step can have new values.

    Args:
        config: The optimizer's fields in the recipe; `beta2` must be constant.
        optimizer: Changed in place.
        learning_rate: float32[].
        momentum: float32[]; used only if the momentum changes.
    """
    group = optimizer.param_groups[0]
    group["lr"] = learning_rate
    if isinstance(config, Momentum) and config.final_momentum is not None:
        # torch's fused step has a constant momentum: multiply the sums of gradients before the step instead.
        if sums := [state["momentum_buffer"] for state in optimizer.state.values() if "momentum_buffer" in state]:
            torch._foreach_mul_(sums, momentum)
        group["momentum"] = 1.0
    optimizer.step()


def momentum_at(config: OptimizerConfig, update: int) -> float:
    """Return the momentum of one update; 0 for an optimizer without momentum.

    Args:
        config: The optimizer's fields in the recipe.
        update: Number of the update, from 0.
    """
    if not isinstance(config, Momentum):
        return 0.0
    if config.final_momentum is None:
        return config.momentum
    progress = min(1.0, update / config.ramp)
    return config.momentum + progress * (config.final_momentum - config.momentum)


def learning_rate_at(config: OptimizerConfig, update: int) -> float:
    """Return the learning rate of one update.

    Args:
        config: The optimizer's fields in the recipe.
        update: Number of the update, from 0.
    """
    if isinstance(config.learning_rate, Schedule):
        rate = value_at(config.learning_rate, update)
    else:
        try:
            rate = max(config.floor, config.learning_rate / config.decay**update)
        except OverflowError:  # decay**update exceeds float64, so the quotient is below any floor
            rate = config.floor
    return rate * min(1.0, (update + 1) / config.warmup) if config.warmup else rate

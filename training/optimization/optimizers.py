"""Optimizers and their schedules."""

from collections.abc import Iterable

from torch import nn, optim

from seedmint.training.recipes.optimizers import Adam, Momentum, OptimizerConfig
from seedmint.training.recipes.schedules import Schedule, value_at


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """Return the torch optimizer that a recipe describes.

    Args:
        config: The optimizer's fields in the recipe.
        parameters: The parameters to optimize.
    """
    rate = value_at(config.learning_rate, 0)
    if isinstance(config, Momentum):
        return optim.SGD(parameters, lr=rate, momentum=config.momentum, fused=True)
    if isinstance(config, Adam):
        betas = config.beta1, value_at(config.beta2, 0)
        return optim.Adam(parameters, lr=rate, betas=betas, eps=config.epsilon, fused=True)
    return optim.RMSprop(parameters, lr=rate, alpha=config.alpha, eps=config.epsilon, foreach=True)


def apply_schedule(config: OptimizerConfig, optimizer: optim.Optimizer, update: int) -> None:
    """Set the learning rate, the momentum and beta2 for one update.

    They depend only on the number of the update, so a checkpoint saves no state for them.

    Args:
        config: The optimizer's fields in the recipe.
        optimizer: Changed in place.
        update: Number of the update, from 0.
    """
    group = optimizer.param_groups[0]
    group["lr"] = _learning_rate(config, update)
    if isinstance(config, Momentum) and config.final_momentum is not None:
        progress = min(1.0, update / config.ramp)
        group["momentum"] = config.momentum + progress * (config.final_momentum - config.momentum)
    if isinstance(config, Adam):
        group["betas"] = config.beta1, value_at(config.beta2, update)


def _learning_rate(config: OptimizerConfig, update: int) -> float:
    if isinstance(config.learning_rate, Schedule):
        rate = value_at(config.learning_rate, update)
    else:
        try:
            rate = max(config.floor, config.learning_rate / config.decay**update)
        except OverflowError:  # decay**update exceeds float64, so the quotient is below any floor
            rate = config.floor
    return rate * min(1.0, (update + 1) / config.warmup) if config.warmup else rate

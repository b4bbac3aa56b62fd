"""Optimizers and their schedules."""

from collections.abc import Iterable

from torch import nn, optim

from seedmint.training.recipes.optimizers import Adam, Momentum, OptimizerConfig


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """Return the torch optimizer that a recipe describes.

    Args:
        config: The optimizer's fields in the recipe.
        parameters: The parameters to optimize.
    """
    if isinstance(config, Momentum):
        return optim.SGD(parameters, lr=config.learning_rate, momentum=config.momentum, fused=True)
    if isinstance(config, Adam):
        return optim.Adam(
            parameters, lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=config.epsilon, fused=True
        )
    return optim.RMSprop(parameters, lr=config.learning_rate, alpha=config.alpha, eps=config.epsilon, foreach=True)


def apply_schedule(config: OptimizerConfig, optimizer: optim.Optimizer, update: int) -> None:
    """Set the learning rate and the momentum for one update. Both depend only on the update's number, so no state is saved.

    Args:
        config: The optimizer's fields in the recipe.
        optimizer: Changed in place.
        update: Number of the update, from 0.
    """
    group = optimizer.param_groups[0]
    try:
        group["lr"] = max(config.floor, config.learning_rate / config.decay**update)
    except OverflowError:  # decay**update exceeds float64, so the quotient is below any floor
        group["lr"] = config.floor
    if isinstance(config, Momentum) and config.final_momentum is not None:
        progress = min(1.0, update / config.ramp)
        group["momentum"] = config.momentum + progress * (config.final_momentum - config.momentum)

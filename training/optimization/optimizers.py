"""The gradient-based learning rules, and their schedules."""

from collections.abc import Iterable

from torch import nn, optim

from seedmint.training.recipes.schema import Adam, Momentum, RMSProp


def build_rule(rule: Momentum | Adam | RMSProp, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """torch's optimiser for a rule of the recipe."""
    if isinstance(rule, Momentum):
        return optim.SGD(parameters, lr=rule.learning_rate, momentum=rule.momentum, fused=True)
    if isinstance(rule, Adam):
        return optim.Adam(parameters, lr=rule.learning_rate, betas=(rule.beta1, rule.beta2), eps=rule.epsilon, fused=True)
    return optim.RMSprop(parameters, lr=rule.learning_rate, alpha=rule.alpha, eps=rule.epsilon, foreach=True)


def schedule(rule: Momentum | Adam | RMSProp, optimizer: optim.Optimizer, update: int) -> None:
    """Set the learning rate (and momentum) for an update, counted from 0. A function of the count: nothing to save."""
    group = optimizer.param_groups[0]
    try:
        group["lr"] = max(rule.floor, rule.learning_rate / rule.decay**update)
    except OverflowError:  # the power is past float64: what is left of the rate is nothing
        group["lr"] = rule.floor
    if isinstance(rule, Momentum) and rule.final_momentum is not None:
        done = min(1.0, update / rule.ramp)
        group["momentum"] = rule.momentum + done * (rule.final_momentum - rule.momentum)

"""What an iteration takes from the host, in tensors that keep their addresses: rows of the data, and scheduled numbers.

The kernels of an iteration then depend on Python only through a few decisions, and can be recorded once as a CUDA graph.
"""

import torch
from torch import Tensor

from seedmint.training.optimization import distributed
from seedmint.training.optimization.ema import weight_of_newest
from seedmint.training.optimization.minibatches import Minibatches
from seedmint.training.optimization.optimizers import learning_rate_at, momentum_at
from seedmint.training.recipes.augmentation import Ada
from seedmint.training.recipes.optimizers import Adam
from seedmint.training.recipes.schedules import Schedule, value_at
from seedmint.training.recipes.schema import Recipe

_TABLE_ROWS = 256  # iterations whose numbers are computed and transferred together

Decisions = tuple[bool, ...]
"""What Python decides in an iteration: whether each penalty of each update is computed, and whether the average has started."""


class DeviceInputs:
    """The inputs of one iteration on the device.

    Nothing waits for the device: the numbers of some hundred iterations are transferred together, and each iteration copies its
    own from this table.

    Args:
        recipe: The settings.
        minibatches: Source of the data.
        device: Device of the training.
    """

    def __init__(self, recipe: Recipe, minibatches: Minibatches, device: torch.device) -> None:
        self._recipe, self._minibatches, self._device = recipe, minibatches, device
        self._slots = {key: slot for slot, key in enumerate(scheduled_numbers(recipe, 0))}
        self._numbers = torch.zeros(len(self._slots), device=device)
        self._table, self._decisions, self._first_row = torch.empty(0), list[Decisions](), -1
        self._rows: list[Tensor] = []

    def begin(self, iteration: int) -> Decisions:
        """Set the inputs of an iteration.

        Args:
            iteration: Number of the iteration, from 0.

        Returns:
            The decisions of the iteration. Iterations with equal decisions run the same kernels.
        """
        row = iteration % _TABLE_ROWS
        if self._first_row != iteration - row:
            self._first_row = iteration - row
            numbers = [scheduled_numbers(self._recipe, self._first_row + i) for i in range(_TABLE_ROWS)]
            self._table = torch.tensor([list(each.values()) for each in numbers]).to(self._device)
            self._decisions = [_decisions(self._recipe, self._first_row + i, each) for i, each in enumerate(numbers)]
        self._numbers.copy_(self._table[row])
        k = self._recipe.k
        rows = [self._minibatches.rows(iteration * k + step) for step in range(k)]
        if not self._rows:
            self._rows = [torch.empty_like(each) for each in rows]
        for target, source in zip(self._rows, rows, strict=True):
            target.copy_(source)
        return self._decisions[row]

    def data(self, update: int) -> tuple[Tensor, Tensor | None]:
        """Return the minibatch of an update of D in the present iteration, as `Minibatches.data` does.

        Args:
            update: Number of the update of D, from 0.
        """
        return self._minibatches.take(self._rows[update % self._recipe.k])

    def number(self, name: str, update: int) -> Tensor:
        """Return a scheduled number of the present iteration, float32[].

        Args:
            name: A name of `scheduled_numbers`.
            update: Number of the update of the network to which the number belongs, from 0.
        """
        return self._numbers[self._slots[name, 0 if name.startswith("generator") else update % self._recipe.k]]


def scheduled_numbers(recipe: Recipe, iteration: int) -> dict[tuple[str, int], float]:
    """Return the numbers of an iteration that follow a schedule, by name and number of the update in the iteration.

    Args:
        recipe: The settings.
        iteration: Number of the iteration, from 0.
    """
    numbers = {}
    for step in range(recipe.k):
        update = iteration * recipe.k + step
        numbers["discriminator.learning_rate", step] = learning_rate_at(recipe.rule.discriminator, update)
        numbers["discriminator.momentum", step] = momentum_at(recipe.rule.discriminator, update)
        for name in ("r1", "r2", "wgan_gp"):
            numbers[f"penalty.{name}", step] = value_at(getattr(recipe.penalty, name), update)
    numbers["generator.learning_rate", 0] = learning_rate_at(recipe.rule.generator, iteration)
    numbers["generator.momentum", 0] = momentum_at(recipe.rule.generator, iteration)
    averaged = iteration - recipe.ema_start
    numbers["generator.ema", 0] = weight_of_newest(value_at(recipe.ema, averaged), averaged)
    return numbers


def recording_obstacle(recipe: Recipe, minibatches: Minibatches, device: torch.device) -> str | None:
    """Return why iterations cannot be recorded as CUDA graphs, or None if they can.

    Args:
        recipe: The settings.
        minibatches: Source of the data.
        device: Device of the training.
    """
    if device.type != "cuda":
        return f"the device is {device.type}, not cuda"
    if distributed.world_size() > 1:
        return "several processes share the run"
    if not minibatches.is_resident:
        return "the data do not fit into the memory of the GPU"
    if isinstance(recipe.augmentation, Ada):
        return "augmentation.kind ada needs the host"
    if any(isinstance(rule, Adam) and isinstance(rule.beta2, Schedule) for rule in recipe.rule.both):
        return "beta2 follows a schedule"
    return None


def _decisions(recipe: Recipe, iteration: int, numbers: dict[tuple[str, int], float]) -> Decisions:
    penalty = recipe.penalty
    is_due = [penalty.is_active and (iteration * recipe.k + step) % penalty.every == 0 for step in range(recipe.k)]
    weighted = [is_due[step] and number != 0 for (name, step), number in numbers.items() if name.startswith("penalty")]
    return (*is_due, *weighted, iteration >= recipe.ema_start)

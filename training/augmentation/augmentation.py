"""The augmentation of a run: the transforms, and the probability that ADA adapts."""

import torch
from torch import Tensor

from seedmint.training.augmentation.ada_transforms import AdaTransforms
from seedmint.training.augmentation.diffaugment import diffaugment
from seedmint.training.optimization import distributed
from seedmint.training.recipes.augmentation import Ada, DiffAugment
from seedmint.training.recipes.schedules import value_at
from seedmint.training.recipes.schema import Recipe

_INTERVAL = 4  # updates of D between two changes of p


class Augmentation:
    """Changes images before D receives them. The images that G returns are never changed.

    All random numbers are drawn from torch's global random generator.

    Args:
        config: The section of the recipe.
        channels: Channels of the images.
        m: Minibatch size.
        device: Device of the images.

    Attributes:
        state: float32[3] on the device: p, the sum of the signs since the last change of p, and the number of signs. The
            state of a checkpoint.
    """

    def __init__(self, config: DiffAugment | Ada, channels: int, m: int, device: torch.device) -> None:
        self._config, self._m = config, m
        self._ada = AdaTransforms(config.transforms, channels) if isinstance(config, Ada) else None
        p = value_at(config.p, 0) if isinstance(config, Ada) else 1.0
        self.state = torch.tensor([p, 0.0, 0.0], device=device)

    @property
    def p(self) -> Tensor:
        """Probability of each transform, float32[]."""
        return self.state[0]

    def begin(self, update: int) -> None:
        """Set a scheduled p.

        Args:
            update: Number of the next update of D, from 0.
        """
        if isinstance(self._config, Ada) and not self._config.adaptive:
            self.state[0] = value_at(self._config.p, update)

    def __call__(self, x: Tensor) -> Tensor:
        """Change images: float32[m, channels, height, width] in [0, 1]. Gradients flow through the result."""
        if isinstance(self._config, DiffAugment):
            return diffaugment(x.float(), self._config.transforms)
        assert self._ada is not None
        return self._ada(x.float(), self.p)

    @torch.no_grad()
    def observe(self, real_probabilities: Tensor, update: int) -> None:
        """Adapt p to the signs of D on data (Karras et al., 2020, section 3).

        Args:
            real_probabilities: float32[m], D(x); D overfits if they are above 1/2 for nearly all x.
            update: Number of the finished update of D, from 0.
        """
        if not isinstance(self._config, Ada) or not self._config.adaptive:
            return
        self.state[1] += (real_probabilities - 0.5).sign().mean()
        self.state[2] += 1
        if (update + 1) % _INTERVAL:
            return
        mean = self.state[1] / self.state[2]
        distributed.all_reduce_mean([mean])
        change = (mean - self._config.target).sign() * (_INTERVAL * self._m / self._config.ramp)
        self.state[0] = (self.state[0] + change).clamp(0.0, 1.0)
        self.state[1:] = 0.0


def build_augmentation(recipe: Recipe, channels: int, device: torch.device) -> Augmentation | None:
    """Return the augmentation of a recipe, or None.

    Args:
        recipe: The settings.
        channels: Channels of the images.
        device: Device of the images.
    """
    if recipe.augmentation is None:
        return None
    return Augmentation(recipe.augmentation, channels, recipe.m, device)

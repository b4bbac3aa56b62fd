"""The section `rule` of a recipe: the optimizers (the learning rules of Algorithm 1)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seedmint.training.recipes.base import Config
from seedmint.training.recipes.schedules import Below1, Positive, Schedule


class _OptimizerBase(Config):
    """The learning rate at update t, counted from 0.

    A constant `learning_rate` gives max(floor, learning_rate / decay**t). A schedule gives its value at t. The first `warmup`
    updates multiply the rate by (t + 1) / warmup.
    """

    learning_rate: Positive
    decay: float = Field(default=1.0, ge=1, le=2)
    floor: float = Field(default=0.0, ge=0)
    warmup: int = Field(default=0, ge=0, description="updates over which the learning rate rises from 0; 0: no warm-up")

    @model_validator(mode="after")
    def _check_decay(self) -> "_OptimizerBase":
        if isinstance(self.learning_rate, Schedule):
            if self.decay != 1 or self.floor:
                raise ValueError("decay and floor need a constant learning_rate; a schedule has its own end")
        elif self.floor > self.learning_rate:
            raise ValueError(f"floor {self.floor} exceeds learning_rate {self.learning_rate}")
        return self


class Momentum(_OptimizerBase):
    """Gradient descent with momentum. Momentum changes linearly to `final_momentum` over the first `ramp` updates."""

    kind: Literal["momentum"]
    momentum: float = Field(default=0.5, ge=0, lt=1)
    final_momentum: float | None = Field(default=None, ge=0, lt=1)
    ramp: int = Field(default=1, ge=1)


class Adam(_OptimizerBase):
    """Adam (Kingma & Ba, 2015)."""

    kind: Literal["adam"]
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: Below1 = 0.999
    epsilon: float = Field(default=1e-8, gt=0)


class RMSProp(_OptimizerBase):
    """RMSProp (Tieleman & Hinton, 2012)."""

    kind: Literal["rmsprop"]
    alpha: float = Field(default=0.99, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)


OptimizerConfig = Annotated[Momentum | Adam | RMSProp, Field(discriminator="kind")]


class Optimizers(Config):
    """The optimizer of each network."""

    generator: OptimizerConfig
    discriminator: OptimizerConfig

    @property
    def both(self) -> tuple[OptimizerConfig, OptimizerConfig]:
        """The two optimizers."""
        return self.generator, self.discriminator

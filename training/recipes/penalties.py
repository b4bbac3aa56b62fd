"""The section `penalty` of a recipe: penalties on the gradient of D's logit with respect to its input."""

from pydantic import Field, model_validator

from seedmint.training.recipes.base import Config
from seedmint.training.recipes.schedules import NotNegative


class Penalty(Config):
    """Weights of the penalties; 0 turns a penalty off. Pixels count in the range -1 to 1, as in the literature.

    D ascends V - r1/2 E|∇D(x)|² - r2/2 E|∇D(G(z))|² - wgan_gp E(|∇D(x̂)| - 1)², where x̂ is a random point between x and G(z).
    """

    r1: NotNegative = Field(default=0.0, description="gradient penalty on data (Mescheder et al., 2018)")
    r2: NotNegative = Field(default=0.0, description="gradient penalty on generated examples (Mescheder et al., 2018)")
    wgan_gp: NotNegative = Field(default=0.0, description="penalty of gradient norms other than 1 (Gulrajani et al., 2017)")
    every: int = Field(
        default=1,
        ge=1,
        le=64,
        description="lazy penalties (Karras et al., 2020): only every n-th update of D computes them, with n times the weight",
    )

    @property
    def is_active(self) -> bool:
        """Whether at least one penalty has a weight other than 0."""
        return any(weight != 0 for weight in (self.r1, self.r2, self.wgan_gp))

    @model_validator(mode="after")
    def _check_every(self) -> "Penalty":
        if self.every > 1 and not self.is_active:
            raise ValueError("every requires r1, r2 or wgan_gp above 0")
        return self

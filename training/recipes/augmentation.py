"""The section `augmentation` of a recipe: random changes of the images that D receives, real and generated alike."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seedmint.training.recipes.base import Config
from seedmint.training.recipes.schedules import Schedule, Share

DiffAugmentTransform = Literal["color", "translation", "cutout"]
GeometricTransform = Literal["flip", "rotate90", "scale", "rotate", "stretch", "translate"]
ColorTransform = Literal["brightness", "contrast", "luma_flip", "hue", "saturation"]


class DiffAugment(Config):
    """DiffAugment (Zhao et al., 2020): every image is changed at every update."""

    kind: Literal["diffaugment"]
    transforms: list[DiffAugmentTransform] = Field(
        default=["color", "translation", "cutout"],
        min_length=1,
        description="color: brightness, saturation and contrast; translation: up to 1/8 of the side; cutout: a gray rectangle "
        "of half the sides",
    )


class Ada(Config):
    """Adaptive discriminator augmentation (Karras et al., 2020): each transform is applied with probability p."""

    kind: Literal["ada"]
    transforms: list[GeometricTransform | ColorTransform] | None = Field(
        default=None, min_length=1, description="null: all; hue and saturation need images in color"
    )
    p: Share = Field(default=0.0, description="probability of each transform; with `adaptive: true`, the value at the start")
    adaptive: bool = Field(
        default=True,
        description="raise p while D overfits, and lower p otherwise; D overfits if the mean sign of D(x) - 1/2 exceeds target",
    )
    target: float = Field(default=0.6, gt=0, lt=1)
    ramp: int = Field(default=500_000, ge=1, description="training examples over which p can rise from 0 to 1")

    @model_validator(mode="after")
    def _check_p(self) -> "Ada":
        if self.adaptive and isinstance(self.p, Schedule):
            raise ValueError("a schedule of p requires adaptive: false")
        if not self.adaptive and self.p == 0:
            raise ValueError("adaptive: false requires p above 0")
        return self


Augmentation = Annotated[DiffAugment | Ada, Field(discriminator="kind")]

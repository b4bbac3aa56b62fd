"""The training curve on a card: the statistics of Algorithm 1 during the training, at a few points."""

from typing import Annotated

from pydantic import Field, model_validator

from seedmint.models.card_part import CardPart

MAX_CURVE_POINTS = 128

Step = Annotated[int, Field(ge=0)]


class TrainingCurve(CardPart):
    """Means of the statistics of a training. All lists have one value for each point.

    Attributes:
        steps: Step at the end of each part of the training, ascending.
        value: V(G, D), the value of the game, in nats for the objectives of the paper.
        d_real: Mean of D(x), D's output for data.
        d_fake: Mean of D(G(z)), D's output for generated data.
        equilibrium: V(G, D) where the generated distribution is that of the data: -log 4 for the objectives of the paper.
    """

    steps: tuple[Step, ...] = Field(min_length=1, max_length=MAX_CURVE_POINTS)
    value: tuple[float, ...]
    d_real: tuple[float, ...]
    d_fake: tuple[float, ...]
    equilibrium: float

    @model_validator(mode="after")
    def _lists_have_one_length(self) -> "TrainingCurve":
        if {len(self.value), len(self.d_real), len(self.d_fake)} != {len(self.steps)}:
            raise ValueError("steps, value, d_real and d_fake must have the same length")
        if any(a >= b for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError("steps must be ascending")
        return self

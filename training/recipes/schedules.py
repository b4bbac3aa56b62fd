"""Values of a recipe that are constant or follow a schedule."""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from seedmint.training.recipes.base import Config


class Schedule(Config):
    """A value that changes from `start` to `end` over the first `steps` updates and then stays at `end`."""

    start: float
    end: float
    steps: int = Field(ge=1, description="updates until the value is `end`")
    shape: Literal["cosine", "linear", "geometric"] = Field(
        default="cosine",
        description="cosine: half a cosine, slow at both ends; linear: equal changes; geometric: equal ratios",
    )

    @model_validator(mode="after")
    def _check_shape(self) -> "Schedule":
        if self.shape == "geometric" and min(self.start, self.end) <= 0:
            raise ValueError("start and end must be above 0 for shape: geometric")
        return self


def value_at(value: float | Schedule, update: int) -> float:
    """Return a value at one update. It depends only on the number of the update, so a checkpoint saves no state for it.

    Args:
        value: A constant or a schedule.
        update: Number of the update, from 0; negative numbers count as 0.
    """
    if not isinstance(value, Schedule):
        return value
    progress = min(max(update, 0) / value.steps, 1.0)
    if progress == 1.0:
        return value.end
    if value.shape == "geometric":
        return float(value.start * (value.end / value.start) ** progress)
    if value.shape == "cosine":
        progress = (1 - math.cos(math.pi * progress)) / 2
    return value.start + progress * (value.end - value.start)


def _kind(value: Any) -> str:
    return "schedule" if isinstance(value, dict | Schedule) else "number"


def _extremes(value: float | Schedule) -> tuple[float, ...]:
    return (value.start, value.end) if isinstance(value, Schedule) else (value,)


def _check_positive(value: float | Schedule) -> float | Schedule:
    if min(_extremes(value)) <= 0:
        raise ValueError("must be above 0")
    return value


def _check_not_negative(value: float | Schedule) -> float | Schedule:
    if min(_extremes(value)) < 0:
        raise ValueError("must be at least 0")
    return value


def _check_below_1(value: float | Schedule) -> float | Schedule:
    if not all(0 <= extreme < 1 for extreme in _extremes(value)):
        raise ValueError("must be at least 0 and below 1")
    return value


def _check_share(value: float | Schedule) -> float | Schedule:
    if not all(0 <= extreme <= 1 for extreme in _extremes(value)):
        raise ValueError("must be 0 to 1")
    return value


_Scheduled = Annotated[Annotated[float, Tag("number")] | Annotated[Schedule, Tag("schedule")], Discriminator(_kind)]
Positive = Annotated[_Scheduled, AfterValidator(_check_positive)]
NotNegative = Annotated[_Scheduled, AfterValidator(_check_not_negative)]
Below1 = Annotated[_Scheduled, AfterValidator(_check_below_1)]
Share = Annotated[_Scheduled, AfterValidator(_check_share)]
"""A number, or a schedule of numbers: positive; at least 0; from 0 to below 1; from 0 to 1."""

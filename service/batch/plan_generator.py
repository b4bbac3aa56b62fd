"""The generators of a plan."""

from pydantic import BaseModel, ConfigDict, Field

from seedmint.models.card import Card
from seedmint.models.card_part import Sha256, is_none
from seedmint.service.batch.filter_rule import PlanFilter

_DIGITS = 12  # of the digest, as in the addresses of images


class PlanGenerator(BaseModel):
    """One generator of a plan.

    Attributes:
        model: SHA-256 of the generator file.
        card: The card of the generator.
        filter: Which of its images are kept; None for all.
        toolchain: What else affects its bytes, as in `Plan`.
    """

    model: Sha256
    card: Card
    filter: PlanFilter | None = Field(default=None, exclude_if=is_none)
    toolchain: dict[str, str]

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def reference(self) -> str:
        """Name and version: NAME@DIGEST12."""
        return f"{self.card.name}@{self.model[:_DIGITS]}"

    @property
    def folder(self) -> str:
        """Name of the folder of its images in the format png: NAME-DIGEST12."""
        return f"{self.card.name}-{self.model[:_DIGITS]}"

"""Base class and field types of the parts of a card."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
"""One line of text without control characters, safe in terminals and pages."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CardPart(BaseModel):
    """A part of a card: immutable, without unknown fields and without infinite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


def is_none(value: object) -> bool:
    """Return whether a field has no value. Such a field is not in the JSON document.

    Args:
        value: The value of the field.
    """
    return value is None

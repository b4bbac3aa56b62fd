"""Parses the labels of a job: the same text in the command line and in the HTTP API."""

import re

from seedmint.models.card import Card
from seedmint.models.errors import UserError
from seedmint.service.batch.plan import LabelChoice
from seedmint.service.specs.values import label_number

_WEIGHT = r"([^,]+):([1-9][0-9]{0,11})"


def parse_labels(text: str, card: Card) -> LabelChoice:
    """Parse the labels of a job.

    Args:
        text: "balanced", "per-seed", a class number, the name of a class, or weights such as "3:1000,seven:500".
        card: The card of the generator.

    Raises:
        UserError: The generator does not have a label, or a label has two weights.
    """
    match text:
        case "balanced" | "per-seed":
            return text
        case _:
            return _weights(text, card) or label_number(text, card, "labels")


def _weights(text: str, card: Card) -> LabelChoice | None:
    """Parse weights of labels; None if the text is no such list, or is the name of a class."""
    if text in (card.classes or ()) or not re.fullmatch(rf"{_WEIGHT}(,{_WEIGHT})*", text):
        return None
    weights: dict[int, int] = {}
    for label, weight in re.findall(_WEIGHT, text):
        number = label_number(label, card, "labels")
        if number in weights:
            raise UserError(f"names the label {number} twice: use one weight for it", field="labels", reason="duplicate_label")
        weights[number] = int(weight)
    return weights

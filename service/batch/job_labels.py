"""Parses the labels of a job: the same text in the command line and in the HTTP API."""

import re
from collections.abc import Sequence

from seedmint.models.card import Card
from seedmint.models.errors import UserError
from seedmint.models.seeds import quoted
from seedmint.service.batch.plan import LabelChoice
from seedmint.service.specs.values import label_number

_WEIGHT = r"([^,]+):([1-9][0-9]{0,11})"


def parse_labels(text: str, cards: Sequence[Card]) -> LabelChoice:
    """Parse the labels of a job.

    Args:
        text: "balanced", "per-seed", a class number, the name of a class, or weights such as "3:1000,seven:500".
        cards: The cards of the generators.

    Raises:
        UserError: A generator does not have a label, a label has two weights, or a name means different numbers.
    """
    if len(cards) == 1:
        return _parse(text, cards[0])
    first, *others = (_parse_of_several(text, card) for card in cards)
    for card, choice in zip(cards[1:], others, strict=True):
        if choice != first:
            raise UserError(
                f"{quoted(text)} names other numbers in {card.name!r} than in {cards[0].name!r}: use numbers of classes",
                field="labels",
                reason="ambiguous_label",
            )
    return first


def _parse_of_several(text: str, card: Card) -> LabelChoice:
    """Parse labels for one of several generators. The error names the generator."""
    try:
        return _parse(text, card)
    except UserError as error:
        raise UserError(f"{error}, for the generator {card.name!r}", field="labels", reason=error.reason) from None


def _parse(text: str, card: Card) -> LabelChoice:
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

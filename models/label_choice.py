"""Chooses classes by the values of the columns of labels of a table."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seedmint.models.card import Card, SampleOutput
from seedmint.models.columns import LabelColumn
from seedmint.models.errors import UserError
from seedmint.models.seeds import quoted

ClassChoice = int | tuple[int, ...]
"""One class number for all seeds, or several, of which each seed has one: see `LabelRule.labels_among`."""

_MAX_VALUES = 20  # in a message


def chosen_classes(card: Card, values: Mapping[str, Any], field: str | None = None) -> tuple[int, ...]:
    """Return the numbers of the classes that have given values, ascending, at least one.

    Args:
        card: The card of a generator.
        values: At least one value by the name of its column: the value itself, or its text.
        field: Name of the parameter, for errors; None for the name of the column.

    Raises:
        UserError: "not_conditional", a column is no label; "unknown_class", no class has the value, or all of the values
            together.
    """
    columns = {column.name: column for column in _label_columns(card)}
    numbers = tuple(range(len(card.classes or ())))
    for name, value in values.items():
        if name not in columns:
            raise UserError(not_a_label(card, name), field=field or name, reason="not_conditional")
        known = matching_classes(card, columns[name], value)
        if not known:
            texts = tuple(dict.fromkeys(columns[name].texts(card.classes or ())))
            more = ", ..." if len(texts) > _MAX_VALUES else ""
            message = f"{quoted(str(value))} is not a value of {quoted(name)}: {', '.join(texts[:_MAX_VALUES])}{more}"
            raise UserError(message, field=field or name, reason="unknown_class")
        numbers = tuple(number for number in numbers if number in known)
        if not numbers:
            message = f"no row of the training data has {quoted(name)} {quoted(str(value))} with the other values: choose fewer"
            raise UserError(message, field=field or name, reason="unknown_class")
    return numbers


def choice_text(choice: ClassChoice) -> str:
    """Return a choice as the text of `label` in URLs.

    Args:
        choice: The choice.
    """
    return str(choice) if isinstance(choice, int) else ",".join(map(str, choice))


def matching_classes(card: Card, column: LabelColumn, value: Any) -> frozenset[int]:
    """Return the numbers of the classes with a value of a column of labels.

    Args:
        card: The card of the generator.
        column: The column.
        value: The value, or its text.
    """
    texts = column.texts(card.classes or ())
    if isinstance(value, np.generic):  # such as a value of a data frame
        value = value.item()
    if isinstance(value, str):
        return frozenset(number for number, text in enumerate(texts) if text == value)
    if not isinstance(value, int | float) or isinstance(value, bool) != (column.type == "boolean"):
        return frozenset()
    return frozenset(number for number, text in enumerate(texts) if column.value(text) == value)


def not_a_label(card: Card, name: str) -> str:
    """Return the message for a column that cannot choose rows: what to do.

    Args:
        card: The card of the generator.
        name: Name of the column.
    """
    labels = [quoted(column.name) for column in _label_columns(card)]
    has = f"chooses rows by {' and '.join(labels)} only" if labels else "has no column of labels"
    return f"the generator {has}: to choose {quoted(str(name))}, train one with this column in data.label"


def _label_columns(card: Card) -> tuple[LabelColumn, ...]:
    return card.output.label_columns if isinstance(card.output, SampleOutput) else ()

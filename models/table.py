"""Rows of a table generator in the schema of the table that it was trained on: names, order and types of the columns."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Card, SampleOutput
from seedmint.models.columns import Column, LabelColumn, json_value, split_codes


def is_table(card: Card) -> bool:
    """Return whether a generator returns codes of typed columns.

    Args:
        card: The card of the generator.
    """
    return isinstance(card.output, SampleOutput) and card.output.columns is not None


def table_schema(card: Card) -> tuple[Column | LabelColumn, ...]:
    """Return the columns of the table in their order, with the columns of labels at their places.

    Args:
        card: The card of a generator of a table.
    """
    assert isinstance(card.output, SampleOutput)
    return card.output.table_schema(card.classes is not None)


def table_columns(card: Card, samples: NDArray[np.float32], labels: NDArray[np.int64] | None) -> dict[str, list[Any]]:
    """Return the values of each column, by its name.

    Args:
        card: The card of a generator of a table.
        samples: float32[n, codes].
        labels: int64[n]; None for an unconditional generator.

    Returns:
        Lists of n values: see `Column.values`.
    """
    assert isinstance(card.output, SampleOutput)
    found: dict[str, list[Any]] = {}
    parts = split_codes(card.output.columns or (), samples)
    for column in table_schema(card):
        if isinstance(column, LabelColumn):
            assert labels is not None
            values = [column.value(text) for text in column.texts(card.classes or ())]
            found[column.name] = [values[label] for label in labels.tolist()]
        else:
            found[column.name] = column.values(next(parts)[1])
    return found


def table_rows(card: Card, samples: NDArray[np.float32], labels: NDArray[np.int64] | None) -> Iterator[list[Any]]:
    """Yield the rows with values for JSON and CSV: see `json_value`.

    Args:
        card: The card of a generator of a table.
        samples: float32[n, codes].
        labels: int64[n]; None for an unconditional generator.
    """
    for row in zip(*table_columns(card, samples, labels).values(), strict=True):
        yield [json_value(value) for value in row]

"""Rows of table generators: values by column, with the column of labels at its place."""

import datetime
from typing import Any

import numpy as np
import pytest

from seedmint.models.card import Card, ImageOutput, SampleOutput
from seedmint.models.columns import Column, LabelColumn
from seedmint.models.table import is_table, table_columns, table_rows, table_schema
from tests.support import generators

COLUMNS = (
    Column(name="day", type="date", first=0, count=3),
    Column(name="town", type="text", categories=("Bern", "Zürich"), count=2, nullable=True),
)
CODES = np.array([[1, 0], [2, -1]], np.float32)


def table_card(label: LabelColumn | None = None, classes: tuple[str, ...] | None = None) -> Card:
    output = SampleOutput(kind="sample", shape=(2,), names=("day", "town"), columns=COLUMNS, label=label)
    return generators.card("people", output=output, classes=classes)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (SampleOutput(kind="sample", shape=(2,), names=("day", "town"), columns=COLUMNS), True),
        (SampleOutput(kind="sample", shape=(2,), names=("day", "town")), False),
        (ImageOutput(height=8, width=8, channels=1), False),
    ],
)
def test_a_table_has_typed_columns(output: Any, expected: bool):
    assert is_table(generators.card("one", output=output)) is expected


def test_a_table_without_classes_has_its_columns():
    card = table_card()
    assert [column.name for column in table_schema(card)] == ["day", "town"]
    days = [datetime.date(1970, 1, 2), datetime.date(1970, 1, 3)]
    assert table_columns(card, CODES, None) == {"day": days, "town": ["Bern", None]}
    assert list(table_rows(card, CODES, None)) == [["1970-01-02", "Bern"], ["1970-01-03", None]]


@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_column_of_labels_is_at_its_place_with_its_own_values(position: int):
    card = table_card(LabelColumn(name="age", type="integer", position=position), ("7", "90"))
    found = table_columns(card, CODES, np.array([1, 0]))
    names = ["day", "town"]
    names.insert(position, "age")
    assert list(found) == [column.name for column in table_schema(card)] == names
    assert found["age"] == [90, 7]
    assert found["town"] == ["Bern", None]
    assert next(table_rows(card, CODES, np.array([1, 0])))[position] == 90


def test_labels_that_are_no_column_are_not_in_the_table():
    card = table_card(None, ("a", "b"))
    assert list(table_columns(card, CODES, np.array([0, 1]))) == ["day", "town"]

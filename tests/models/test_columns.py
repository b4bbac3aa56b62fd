"""Typed columns: the rule from codes to values, and its limits."""

import datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from seedmint.models.card import SampleOutput
from seedmint.models.columns import Column, LabelColumn, column_numbers, json_value, split_codes
from seedmint.models.table import table_columns, table_schema
from tests.support import generators

CODES = np.array([0, 2, -1, 1], np.float32)


@pytest.mark.parametrize(
    ("fields", "values", "texts"),
    [
        ({"type": "text", "categories": ("b", "a", "c"), "count": 3}, ["b", "c", None, "a"], ["b", "c", None, "a"]),
        ({"type": "integer", "first": -5, "step": 10, "count": 3}, [-5, 15, None, 5], [-5, 15, None, 5]),
        ({"type": "number", "first": 5, "count": 3, "decimals": 2}, [0.05, 0.07, None, 0.06], [0.05, 0.07, None, 0.06]),
        (
            {"type": "date", "first": -1, "count": 3},
            [datetime.date(1969, 12, 31), datetime.date(1970, 1, 2), None, datetime.date(1970, 1, 1)],
            ["1969-12-31", "1970-01-02", None, "1970-01-01"],
        ),
        (
            {"type": "time", "first": 0, "step": 60_000_000, "count": 3},
            [datetime.time(0, 0), datetime.time(0, 2), None, datetime.time(0, 1)],
            ["00:00:00", "00:02:00", None, "00:01:00"],
        ),
    ],
)
def test_values_of_codes(fields, values, texts):
    column = Column(name="c", nullable=True, **fields)
    assert column.values(CODES) == values
    assert [json_value(value) for value in column.values(CODES)] == texts
    assert column.check_codes(CODES)
    assert not column.check_codes(np.array([3.0]))
    assert not column.check_codes(np.array([0.5]))
    assert not column.model_copy(update={"nullable": False}).check_codes(CODES)


def test_booleans_and_moments():
    assert Column(name="b", type="boolean", count=2).values(np.array([0, 1])) == [False, True]
    local = Column(name="m", type="datetime", first=1_500_000, count=1).values(np.array([0]))[0]
    assert local == datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000)
    zoned = Column(name="m", type="datetime", first=0, count=1, timezone="Europe/Berlin").values(np.array([0]))[0]
    assert json_value(zoned) == "1970-01-01T00:00:00+00:00"


def test_strings_end_at_the_first_end_and_stand_beside_other_columns():
    string = Column(name="s", type="string", alphabet=("a", "é", " "), length=3, count=4)
    number = Column(name="n", type="integer", first=5, count=3)
    codes = np.array([[1, 1, 2, 3], [0, 2, 0, 1], [2, 0, 0, 0]], np.float32)
    parts = [part for _, part in split_codes((number, string), codes)]
    assert [column.values(part) for column, part in zip((number, string), parts, strict=True)] == [[6, 5, 7], ["aé ", "é", ""]]
    assert column_numbers((number, string), codes).tolist() == [[6, 3], [5, 1], [7, 0]]
    assert string.values(string.string_codes(["aé ", "é", ""])) == ["aé ", "é", ""]
    assert string.check_codes(parts[1])
    assert not string.check_codes(parts[1] + 1)
    output = SampleOutput(kind="sample", shape=(4,), names=("n", "s"), columns=(number, string))
    assert not output.is_text
    assert SampleOutput(kind="sample", shape=(3,), names=("s",), columns=(string,)).is_text
    with pytest.raises(ValidationError):
        SampleOutput(kind="sample", shape=(2,), names=("n", "s"), columns=(number, string))


@given(st.integers(-(2**52), 2**52), st.integers(0, 2**24 - 1), st.integers(-15, 22))
def test_numbers_are_the_nearest_float64(first, code, decimals):
    column = Column(name="n", type="number", first=first, count=2**24, decimals=decimals)
    exact = Fraction(first + code) / Fraction(10) ** decimals
    assert column.values(np.array([code], np.float32)) == [exact.numerator / exact.denominator]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "text", "count": 2},
        {"type": "text", "categories": ("a", "a"), "count": 2},
        {"type": "text", "categories": ("a", "b"), "count": 3},
        {"type": "boolean", "count": 3},
        {"type": "integer", "count": 3},
        {"type": "integer", "first": 0, "count": 2**24 + 1},
        {"type": "integer", "first": 2**53, "count": 2},
        {"type": "integer", "first": 0, "count": 2, "decimals": 1},
        {"type": "integer", "first": 0, "count": 2, "timezone": "UTC"},
        {"type": "time", "first": 86_400_000_000, "count": 1},
        {"type": "date", "first": 10**8, "count": 1},
        {"type": "string", "count": 3},
        {"type": "string", "alphabet": ("a", "b"), "length": 2, "count": 2},
        {"type": "string", "alphabet": ("a", "a"), "length": 2, "count": 3},
        {"type": "string", "alphabet": ("a", "\n"), "length": 2, "count": 3},
        {"type": "string", "alphabet": ("a", "bc"), "length": 2, "count": 3},
        {"type": "string", "alphabet": ("a",), "length": 2, "count": 2, "nullable": True},
        {"type": "string", "alphabet": ("a",), "length": 257, "count": 2},
        {"type": "integer", "first": 0, "count": 2, "length": 2},
    ],
)
def test_inconsistent_columns_are_refused(fields):
    with pytest.raises(ValidationError):
        Column(name="c", **fields)


@pytest.mark.parametrize(
    ("kind", "name", "value"), [("text", "1", "1"), ("integer", "1", 1), ("number", "1.5", 1.5), ("boolean", "false", False)]
)
def test_labels_have_the_values_of_the_table(kind, name, value):
    assert LabelColumn(name="k", type=kind).value(name) == value
    with pytest.raises(ValueError, match=r".+"):
        LabelColumn(name="k", type="boolean").check_classes(("maybe",))


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("number", ("nan", "1")),
        ("number", ("inf", "1")),
        ("integer", ("9" * 20, "1")),
        ("integer", ("1", "01")),
        ("number", ("1", "1.0")),
    ],
)
def test_classes_without_a_value_of_their_own_are_refused(kind: Any, classes: tuple[str, ...]):
    with pytest.raises(ValueError, match="class"):
        LabelColumn(name="k", type=kind).check_classes(classes)


@pytest.mark.parametrize("changes", [{"names": ("seed",)}, {"label": LabelColumn(name="row")}])
def test_a_column_with_the_name_of_a_key_is_refused(changes: dict[str, Any]):
    names = changes.get("names", ("x",))
    column = Column(name=names[0], type="integer", first=0, step=1, count=3)
    with pytest.raises(ValueError, match=r"seed|row"):
        SampleOutput(kind="sample", shape=(1,), names=names, columns=(column,), label=changes.get("label"))


LIMITS = {
    "integer": (-(2**53), 2**53),
    "date": (-719_162, 2_932_896),  # 0001-01-01 and 9999-12-31 in days since 1970-01-01
    "time": (0, 86_399_999_999),
    "datetime": (-62_135_596_800_000_000, 253_402_300_799_999_999),  # microseconds, until the end of 9999-12-31
}


@pytest.mark.parametrize("kind", LIMITS)
def test_the_limits_of_the_values_are_exact(kind: Any):
    first, last = LIMITS[kind]
    Column(name="c", type=kind, first=first, step=last - first, count=2)
    Column(name="c", type=kind, first=last, count=1)
    for change in ({"first": first - 1, "count": 1}, {"first": last, "count": 2}, {"first": last - 2, "step": 3, "count": 2}):
        with pytest.raises(ValidationError):
            Column(name="c", type=kind, **change)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "integer", "first": 0, "count": 0},
        {"type": "integer", "first": 0, "count": 1, "step": 0},
        {"type": "number", "first": 0, "count": 1, "decimals": 23},
        {"type": "number", "first": 0, "count": 1, "decimals": -23},
        {"type": "integer", "first": 0, "count": 2, "step": 2**53 + 1},
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any]):
    with pytest.raises(ValidationError):
        Column(name="c", **fields)


@pytest.mark.parametrize("decimals", [22, -22])
def test_22_decimals_are_the_most(decimals: int):
    Column(name="c", type="number", first=0, count=1, decimals=decimals)


def test_a_column_has_missing_values_only_if_it_says_so():
    column = Column(name="c", type="integer", first=7, count=2)
    assert not column.check_codes(np.array([-1]))
    assert column.check_codes(np.array([0]))
    assert not column.model_copy(update={"nullable": True}).check_codes(np.array([-2]))


def test_numbers_for_plots_are_values_or_codes_and_nan_where_they_are_missing():
    columns = (
        Column(name="n", type="number", first=150, step=25, count=3, decimals=2, nullable=True),
        Column(name="t", type="text", categories=("a", "b"), count=2),
        Column(name="k", type="number", first=3, count=9, decimals=-2),
    )
    numbers = column_numbers(columns, np.array([[0, 1, 2], [-1, 0, 8]], np.float32))
    np.testing.assert_array_equal(numbers, [[1.5, 1, 500], [np.nan, 0, 1100]])


def test_the_place_of_a_label_is_the_first_by_default_and_never_negative():
    assert LabelColumn(name="k").position == LabelColumn(name="k", position=0).position == 0
    with pytest.raises(ValidationError):
        LabelColumn(name="k", position=-1)


@pytest.mark.parametrize(
    ("kind", "classes"),
    [("text", ("1", "01")), ("boolean", ("false", "true")), ("integer", (str(2**53), "-1")), ("number", (str(2**60), "0.5"))],
)
def test_classes_with_different_values_are_accepted(kind: Any, classes: tuple[str, ...]):
    LabelColumn(name="k", type=kind).check_classes(classes)


@pytest.mark.parametrize(
    "changes",
    [
        {"names": ("y",)},
        {"columns": None, "label": LabelColumn(name="k")},
        {"label": LabelColumn(name="x")},
        {"label": LabelColumn(name="k", position=2)},
        {"label": LabelColumn(name="k", values=("a",))},
        {"labels": (LabelColumn(name="k", values=("a",)),)},
        {"labels": (LabelColumn(name="k", values=("a",)), LabelColumn(name="l", position=1))},
        {"labels": (LabelColumn(name="k", values=("a",)), LabelColumn(name="k", values=("a",), position=1))},
        {"labels": (LabelColumn(name="k", values=("a",)), LabelColumn(name="l", values=("a",)))},
        {"labels": (LabelColumn(name="k", values=("a",)), LabelColumn(name="l", values=("a",), position=3))},
    ],
    ids=[
        *("another name", "label without columns", "label named as a column", "label behind the end", "values of one label"),
        *("one of several", "no values", "one name", "one position", "several behind the end"),
    ],
)
def test_columns_and_label_must_fit_together(changes: dict[str, Any]):
    column = Column(name="x", type="integer", first=0, step=1, count=3)
    fields: dict[str, Any] = {"kind": "sample", "shape": (1,), "names": ("x",), "columns": (column,), "label": None}
    SampleOutput(**fields)
    SampleOutput(**fields | {"label": LabelColumn(name="k", position=1)})
    with pytest.raises(ValueError, match=r".+"):
        SampleOutput(**fields | changes)


def test_the_classes_of_a_card_are_values_of_its_label():
    column = Column(name="x", type="integer", first=0, step=1, count=3)
    label = LabelColumn(name="k", type="integer")
    output = SampleOutput(kind="sample", shape=(1,), names=("x",), columns=(column,), label=label)
    assert generators.card("k", output=output, classes=("1", "2")).classes == ("1", "2")
    for classes in (("a", "b"), None):
        with pytest.raises(ValidationError):
            generators.card("k", output=output, classes=classes)


def test_the_classes_of_a_card_are_combinations_of_its_labels():
    column = Column(name="x", type="integer", first=0, step=1, count=3)
    years, flags = (
        LabelColumn(name="year", type="integer", position=2, values=("2019", "2019", "2020")),
        LabelColumn(name="flag", type="boolean", position=0, values=("false", "true", "true")),
    )
    output = SampleOutput(kind="sample", shape=(1,), names=("x",), columns=(column,), labels=(years, flags))
    card = generators.card("k", output=output, classes=("a", "b", "c"))
    assert [each.name for each in table_schema(card)] == ["flag", "x", "year"]
    assert table_columns(card, np.array([[1], [2]], np.float32), np.array([2, 0])) == {
        "flag": [True, False],
        "x": [1, 2],
        "year": [2020, 2019],
    }
    for changes in ({"values": ("2019", "2019", "x")}, {"values": ("2019",)}, {"values": ("2019", "2020", "2020")}):
        wrong = output.model_copy(update={"labels": (years.model_copy(update=changes), flags)})
        with pytest.raises(ValidationError):
            generators.card("k", output=wrong, classes=("a", "b", "c"))

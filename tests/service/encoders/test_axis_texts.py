"""Texts at the marks of axes: values of columns, not their codes."""

from typing import Any

import pytest

from seedmint.models.columns import Column
from seedmint.service.encoders.axis_texts import axis_text

DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("column", "limits", "expected"),
    [
        (
            {"type": "text", "categories": ("north", "south"), "count": 2},
            (-0.5, 1.5),
            {0: "north", 1: "south", 0.5: "", 2: "", -1: ""},
        ),
        ({"type": "boolean", "count": 2}, (-0.5, 1.5), {0: "false", 1: "true", 1.5: ""}),
        ({"type": "integer", "first": 0, "count": 9}, (0, 9), {2: "2", 2_000_000: "2000000", 2.5: ""}),
        ({"type": "number", "first": 0, "count": 9}, (0, 9), {2: "2", 2.5: "2.5"}),
        ({"type": "date", "first": 0, "count": 9}, (0, 2000), {18_262: "2020-01", 10_000_000: ""}),
        ({"type": "date", "first": 0, "count": 9}, (0, 9), {18_262: "2020-01-01", 18_262.9: "2020-01-01", -1: "1969-12-31"}),
        ({"type": "datetime", "first": 0, "count": 9}, (0, 2000 * DAY), {18_262 * DAY: "2020-01"}),
        ({"type": "datetime", "first": 0, "count": 9}, (0, 9 * DAY), {18_262 * DAY: "2020-01-01"}),
        ({"type": "datetime", "first": 0, "count": 9}, (0, DAY / 2), {18_262.25 * DAY: "06:00"}),
        (
            {"type": "time", "first": 0, "count": 9},
            (0, DAY),
            {0: "00:00", 0.5 * DAY: "12:00", DAY - 1: "23:59", DAY: "", -1: ""},
        ),
    ],
)
def test_marks_have_the_values_of_the_column(column: dict[str, Any], limits: tuple[float, float], expected: dict[float, str]):
    text = axis_text(Column(name="c", **column), *limits)
    assert {at: text(at) for at in expected} == expected

"""Charts of the columns of a table in its report."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from seedmint.models.columns import Column
from seedmint.training.report.column_charts import MAX_CHARTS, column_charts
from seedmint.training.report.svg_charts import standalone_svg

PAINT = Column(name="paint", type="text", categories=("$a$", "<b>", "c"), count=3, nullable=True)
PRICE = Column(name="price", type="number", unit="EUR", first=100, step=5, count=1000, decimals=2, nullable=True)
SINCE = Column(name="since", type="date", first=18262, count=500)


def rows(n, seed):
    random = np.random.default_rng(seed)
    columns = (random.integers(-1, 3, n), random.integers(-1, 1000, n), random.integers(0, 500, n))
    return np.column_stack(columns).astype(np.float32)


def texts(svg):
    return [element.text for element in ElementTree.fromstring(standalone_svg(svg)).iter() if element.tag.endswith("}text")]


def test_each_column_has_a_chart_with_its_values():
    charts = column_charts((PAINT, PRICE, SINCE), rows(300, 0), rows(400, 1))
    assert [name for name, _ in charts] == ["paint", "price", "since"]
    paint, price, since = (texts(svg) for _, svg in charts)
    assert {"(missing)", "$a$", "<b>", "c", "held-out rows", "generated"} <= set(paint)
    assert {"price (EUR)", "held-out rows", "generated"} <= set(price)
    assert next(float(text) for text in price if re.fullmatch(r"\d+\.\d+", text)) < 2
    assert any(re.fullmatch(r"2020-\d\d-\d\d", text) for text in since)
    assert charts == column_charts((PAINT, PRICE, SINCE), rows(300, 0), rows(400, 1))


@pytest.mark.filterwarnings("error")  # names that leave no room for the bars are a warning of matplotlib
def test_long_values_leave_room_for_the_bars():
    names = ("x" * 200, "y" * 25, "z" * 24)
    column = Column(name="c", type="text", categories=names, count=3)
    ((_, svg),) = column_charts((column,), *[np.arange(3, dtype=np.float32)[:, None]] * 2)
    assert {"x" * 23 + "…", "y" * 23 + "…", "z" * 24} <= set(texts(svg))


def test_rare_and_unknown_values_are_one_bar():
    many = Column(name="m", type="text", categories=tuple(f"k{i}" for i in range(50)), count=50)
    ((_, svg),) = column_charts((many,), np.arange(50, dtype=np.float32)[:, None], np.zeros((5, 1), np.float32))
    assert texts(svg).count("(others)") == 1
    few = np.zeros((4, 1), np.float32)
    ((_, svg),) = column_charts((many,), few, few + 7)
    assert {"k0", "(others)"} <= set(texts(svg))
    assert (
        len(column_charts((many,) * (MAX_CHARTS + 5), np.zeros((2, MAX_CHARTS + 5), np.float32), np.zeros((2, 99))))
        == MAX_CHARTS
    )

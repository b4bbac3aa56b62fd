"""Plots of samples: positions of points, bars and curves."""

import numpy as np
import pytest

from seedmint.models.card import SampleOutput
from seedmint.models.columns import Column
from seedmint.service.encoders.plots import plot

BLUE, GREY = (31, 119, 180), (190, 190, 190)


def output(*shape: int) -> SampleOutput:
    return SampleOutput(kind="sample", shape=shape, names=tuple(f"c{i}" for i in range(shape[-1])))


def samples(n: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)


def places(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Return (row, column) of every pixel of a color."""
    return np.argwhere((picture == color).all(axis=2))


@pytest.mark.parametrize("shape", [(1,), (2,), (3,), (16,), (40,), (1, 1), (64, 1), (5, 3), (300, 20)])
@pytest.mark.parametrize("marked", [False, True])
def test_every_shape_is_plotted_deterministically(shape: tuple[int, ...], marked: bool):
    values = samples(50, *shape)
    one = values[7] if marked else None
    picture = plot(output(*shape), values, one)
    assert picture.dtype == np.uint8
    assert max(picture.shape[:2]) <= 800
    assert len(places(picture, BLUE)) > 0
    np.testing.assert_array_equal(plot(output(*shape), values.copy(), one), picture)


def test_marked_point_is_at_its_position():
    """The point moves by the scale of the axes, which span the values and a twentieth more on both sides."""
    corners = np.array([[0, 0], [1, 1]], np.float32)
    width, height = 320 - 44 - 12, 240 - 20 - 34
    for x, y in ((0.25, 0.5), (0.75, 0.1)):
        found = places(plot(output(2), corners, np.array([x, y], np.float32)), BLUE).mean(axis=0)
        expected = 20 + height * (1 - (y + 0.05) / 1.1), 44 + width * (x + 0.05) / 1.1
        np.testing.assert_allclose(found, expected, atol=1.0)


def test_other_points_are_grey_only_behind_a_marked_point():
    values = samples(200, 2)
    assert len(places(plot(output(2), values, values[0]), GREY)) > 100
    assert len(places(plot(output(2), values), GREY)) < 10  # only edges of letters


def test_bars_of_a_histogram_are_as_high_as_the_counts():
    """The left half has twice as many values, hence about twice as many blue pixels."""
    values = np.concatenate([np.linspace(0, 0.5, 2000), np.linspace(0.5, 1, 1000)]).astype(np.float32)[:, None]
    across = places(plot(output(1), values), BLUE)[:, 1]
    middle = 44 + (320 - 44 - 12) / 2
    assert np.sum(across < middle) / np.sum(across > middle) == pytest.approx(2, rel=0.1)


def test_curve_rises_with_its_values():
    rising = np.linspace(-1, 1, 64, dtype=np.float32)[None, :, None]
    found = places(plot(output(64, 1), rising, rising[0]), BLUE)
    down_of = {across: found[found[:, 1] == across, 0].mean() for across in np.unique(found[:, 1])}
    heights = [down_of[across] for across in sorted(down_of)]
    assert len(heights) > 200
    assert (np.diff(heights) <= 0).all()


@pytest.mark.parametrize("values", [np.zeros((3, 2)), np.full((3, 1), 1e30), np.full((3, 1), -1e-30), np.zeros((3, 4, 1))])
def test_constant_values_are_plotted(values: np.ndarray):
    values = values.astype(np.float32)
    assert len(places(plot(output(*values.shape[1:]), values, values[0]), BLUE)) > 0


@pytest.mark.parametrize("name", ["\u4f60\u597d", "x" * 200, "é"])
def test_any_name_is_plotted(name: str):
    described = SampleOutput(kind="sample", shape=(1,), names=(name,))
    assert plot(described, samples(5, 1)).shape == (240, 320, 3)


def test_each_text_of_a_table_has_a_bar_as_high_as_its_count():
    column = Column(name="town", type="text", categories=("Bern", "Genève", "Zürich"), count=3, nullable=True)
    table = SampleOutput(kind="sample", shape=(1,), names=("town",), columns=(column,))
    codes = np.repeat([0, 2, -1], [200, 100, 50]).astype(np.float32)[:, None]
    across = places(plot(table, codes), BLUE)[:, 1]
    width = (320 - 44 - 12) / 3
    shares = np.histogram(across, 44 + width * np.arange(4))[0] / len(across)
    np.testing.assert_allclose(shares, [2 / 3, 0, 1 / 3], atol=0.02)
    gaps = np.setdiff1d(np.arange(across.min(), across.max()), across)
    assert len(gaps) > width  # between the bars, and in place of the bar of Genève


@pytest.mark.parametrize("count", [1, 2, 33, 1000])
def test_any_number_of_texts_is_plotted(count: int):
    categories = tuple(f"a long name of town {i}" for i in range(count))
    column = Column(name="town", type="text", categories=categories, count=count)
    for n in (1, 2, 3):
        columns = tuple(column.model_copy(update={"name": f"c{i}"}) for i in range(n))
        table = SampleOutput(kind="sample", shape=(n,), names=tuple(each.name for each in columns), columns=columns)
        codes = np.random.default_rng(0).integers(0, count, (50, n)).astype(np.float32)
        assert len(places(plot(table, codes), BLUE)) > 0


@pytest.mark.parametrize("length", [1, 2, 3])
def test_strings_of_any_length_are_plotted(length: int):
    column = Column(name="code", type="string", alphabet=("a", "b"), count=3, length=length)
    output = SampleOutput(kind="sample", shape=(length,), names=("code",), columns=(column,))
    codes = np.random.default_rng(0).integers(0, 3, (50, length)).astype(np.float32)
    assert len(places(plot(output, codes), BLUE)) > 0
    assert len(places(plot(output, codes, codes[0]), BLUE)) > 0

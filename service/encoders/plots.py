"""Plots of samples, drawn with Pillow only: scatter plots, histograms and curves with axes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from seedmint.models.card import SampleOutput
from seedmint.models.columns import Column, column_numbers
from seedmint.service.encoders.axis_texts import AxisText, axis_text, number_text

_OVERSAMPLING = 2  # plots are drawn larger by this factor and then reduced, for smooth lines
_SINGLE_SIZE, _GRID_SIZE = (320, 240), (200, 150)  # pixels of a single panel, and of a panel in a grid
_MARGINS = (44, 20, 12, 34)  # left, top, right, bottom
_MAX_PANELS = 16  # columns or channels
_MAX_CURVES = 16  # series in one panel
_BINS = 32
_MAX_BARS = 32  # texts with a bar for each
_CHARACTER = 6  # pixels, about
_FONT_SIZE = 10  # pixels
_WHITE, _GREY, _BLUE, _INK = (255, 255, 255), (190, 190, 190), (31, 119, 180), (60, 60, 60)

Color = tuple[int, int, int]
Floats = NDArray[np.float32] | NDArray[np.float64]


def plot(output: SampleOutput, samples: Floats, marked: Floats | None = None) -> NDArray[np.uint8]:
    """Plot samples: two columns as a scatter plot, other columns as histograms, series as curves.

    A plot shows at most 16 columns or channels. Texts and booleans of a table have one bar for each value.

    Args:
        output: The output in the card of the generator.
        samples: float32[n, *shape], n at least 1. Of a table with typed columns, codes.
        marked: float32[*shape], a sample to highlight in front of `samples`. For series, only this sample is drawn, and
            `samples` determine the axes.

    Returns:
        uint8[height, width, 3].
    """
    if output.columns is not None:
        samples = column_numbers(output.columns, samples)
        marked = None if marked is None else column_numbers(output.columns, marked[None])[0]
    all_samples = samples if marked is None else np.concatenate([samples, marked[None]])
    if all_samples.shape[1:] == (2,):  # the codes of one string are no columns
        x, y = all_samples[np.isfinite(all_samples).all(axis=1)].T
        columns_of = output.columns or (None, None)
        axes = _Axes(
            (0, 0), _SINGLE_SIZE, _Scale.of(x, columns_of[0]), _Scale.of(y, columns_of[1]), output.names[0], output.names[1]
        )
        picture = _canvas(1, 1, _SINGLE_SIZE)
        draw = ImageDraw.Draw(picture)
        for point in samples[np.isfinite(samples).all(axis=1)]:
            axes.dot(draw, point[0], point[1], 1.5, _BLUE if marked is None else _GREY)
        if marked is not None and np.isfinite(marked).all():
            axes.dot(draw, marked[0], marked[1], 4.0, _BLUE)
        axes.frame(draw)
        return _reduce(picture)
    count = min(len(output.names), _MAX_PANELS)
    columns = math.ceil(math.sqrt(count))
    size = _SINGLE_SIZE if count == 1 else _GRID_SIZE
    picture = _canvas(-(-count // columns), columns, size)
    draw = ImageDraw.Draw(picture)
    for i in range(count):
        corner = (i % columns * size[0], i // columns * size[1])
        values, every = samples[..., i], all_samples[..., i]
        marked_values = None if marked is None else marked[..., i]
        if output.has_lengths:
            every = every[np.isfinite(every)]
        if output.columns is not None:  # missing values are not shown
            values, every = values[np.isfinite(values)], every[np.isfinite(every)]
            marked_values = marked_values if marked_values is not None and np.isfinite(marked_values) else None
        scale = _Scale.of(every, None if output.columns is None else output.columns[i])
        panel = _Panel(draw, corner, size, values, marked_values, scale, output.titles[i])
        if len(output.shape) == 1:
            _histogram(panel)
        else:
            _curves(panel)
    return _reduce(picture)


@dataclass(frozen=True)
class _Scale:
    """The numbers of one axis.

    Attributes:
        limits: The beginning and the end.
        text: The text of a mark.
        bars: Number of categories, each with one bar; None for numbers.
        is_column: Whether the values are those of a column of a table.
    """

    limits: tuple[float, float]
    text: AxisText = number_text
    bars: int | None = None
    is_column: bool = False

    @classmethod
    def of(cls, values: Floats, column: Column | None) -> "_Scale":
        """Return the scale of values; of a column of a table, `Column.numbers`."""
        if column is not None and column.type == "string":  # numbers of characters
            column = None
        if column is not None and column.first is None and column.count <= _MAX_BARS:
            limits = (-0.5, column.count - 0.5)
            return cls(limits, axis_text(column, *limits), column.count, True)
        limits = _limits(values)
        return cls(limits) if column is None else cls(limits, axis_text(column, *limits), is_column=True)

    def marks(self, width: int | None) -> list[tuple[float, str]]:
        """Return the positions of the marks with their texts, of a table so many that they fit in a width in characters.

        Categories are shortened instead. None: each text has its own line.
        """
        found = [(at, self.text(at)) for at in _ticks(*self.limits)]
        found = [(at, text) for at, text in found if text]
        if not self.is_column:
            return found
        if width is None:
            return [(at, _shorten(text, _MARGINS[0] // _CHARACTER)) for at, text in found]
        longest = max((len(text) for _, text in found), default=0)
        if self.bars is not None:
            return [(at, _shorten(text, width // len(found) - 1)) for at, text in found]
        return found[:: max(1, math.ceil((longest + 1) * len(found) / width))]


class _Axes:
    """The axes of a panel. Converts values to positions, in oversampled pixels."""

    def __init__(
        self,
        corner: tuple[int, int],
        size: tuple[int, int],
        x: _Scale,
        y: _Scale,
        x_name: str,
        y_name: str,
    ) -> None:
        left, top, right, bottom = _MARGINS
        self.left, self.right = (corner[0] + left) * _OVERSAMPLING, (corner[0] + size[0] - right) * _OVERSAMPLING
        self.top, self.bottom = (corner[1] + top) * _OVERSAMPLING, (corner[1] + size[1] - bottom) * _OVERSAMPLING
        self.x, self.y, self.x_name, self.y_name = x.limits, y.limits, x_name, y_name
        self.x_marks, self.y_marks = x.marks((size[0] - left - right) // _CHARACTER), y.marks(None)

    def position(self, x: float, y: float) -> tuple[float, float]:
        x_fraction, y_fraction = (
            (float(x) - self.x[0]) / (self.x[1] - self.x[0]),
            (float(y) - self.y[0]) / (self.y[1] - self.y[0]),
        )
        return self.left + x_fraction * (self.right - self.left), self.bottom - y_fraction * (self.bottom - self.top)

    def dot(self, draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, color: Color) -> None:
        px, py = self.position(x, y)
        r = radius * _OVERSAMPLING
        draw.ellipse((px - r, py - r, px + r, py + r), fill=color)

    def curve(self, draw: ImageDraw.ImageDraw, values: Floats, width: int) -> None:
        known = values[np.isfinite(values)]  # series of different lengths end with NaN
        if len(known) == 1:
            self.dot(draw, 0, known[0], 4.0, _BLUE)
        else:
            points = [self.position(step, value) for step, value in enumerate(known.tolist())]
            draw.line(points, fill=_BLUE, width=width, joint="curve")

    def frame(self, draw: ImageDraw.ImageDraw, y_ticks: bool = True) -> None:
        """Draw the axes. Call this last, so that the axes cover points at the edges."""
        font = ImageFont.load_default(_FONT_SIZE * _OVERSAMPLING)
        draw.line([(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], fill=_INK, width=_OVERSAMPLING)
        for x, text in self.x_marks:
            px, _ = self.position(x, self.y[0])
            draw.line([(px, self.bottom), (px, self.bottom + 3 * _OVERSAMPLING)], fill=_INK, width=_OVERSAMPLING)
            draw.text((px, self.bottom + 4 * _OVERSAMPLING), text, _INK, font, "ma")
        for y, text in self.y_marks if y_ticks else ():
            _, py = self.position(self.x[0], y)
            draw.line([(self.left - 3 * _OVERSAMPLING, py), (self.left, py)], fill=_INK, width=_OVERSAMPLING)
            draw.text((self.left - 5 * _OVERSAMPLING, py), text, _INK, font, "rm")
        below = self.bottom + (_MARGINS[3] - 2) * _OVERSAMPLING
        draw.text(((self.left + self.right) / 2, below), _shorten(self.x_name), _INK, font, "md")
        draw.text((self.left, self.top - 4 * _OVERSAMPLING), _shorten(self.y_name), _INK, font, "ls")


@dataclass(frozen=True)
class _Panel:
    """One column or channel, and its position in the plot.

    Attributes:
        draw: Draws on the plot.
        corner: Left and top in pixels.
        size: Width and height in pixels.
        values: float32[n] of a column, or float32[n, length] of a channel.
        marked: float32[] or float32[length], to highlight; None for none.
        scale: The axis of the values.
        name: Name of the column or channel.
    """

    draw: ImageDraw.ImageDraw
    corner: tuple[int, int]
    size: tuple[int, int]
    values: Floats
    marked: Floats | None
    scale: _Scale
    name: str


def _histogram(panel: _Panel) -> None:
    draw, marked = panel.draw, panel.marked
    counts, edges = np.histogram(panel.values, panel.scale.bars or _BINS, panel.scale.limits)
    axes = _Axes(panel.corner, panel.size, panel.scale, _Scale((0, float(max(1, counts.max())) * 1.05)), panel.name, "")
    for count, low, high in zip(counts.tolist(), edges.tolist(), edges[1:].tolist(), strict=False):
        if count:
            (left, top), (right, bottom) = axes.position(low, count), axes.position(high, 0)
            gap = (right - left) // 10 if panel.scale.bars else 0
            draw.rectangle((left + gap, top, right - 1 - gap, bottom), fill=_BLUE if marked is None else _GREY)
    if marked is not None:
        px, _ = axes.position(float(marked), 0)
        draw.line([(px, axes.top), (px, axes.bottom)], fill=_BLUE, width=2 * _OVERSAMPLING)
    axes.frame(draw, y_ticks=False)


def _curves(panel: _Panel) -> None:
    steps = panel.values.shape[1]
    axes = _Axes(panel.corner, panel.size, _Scale((0, max(1, steps - 1))), panel.scale, "step", panel.name)
    for curve in panel.values[:_MAX_CURVES] if panel.marked is None else (panel.marked,):
        axes.curve(panel.draw, curve, _OVERSAMPLING if panel.marked is None else 2 * _OVERSAMPLING)
    axes.frame(panel.draw)


def _limits(values: Floats) -> tuple[float, float]:
    """Return the range of the values, extended by a twentieth on both sides."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)  # all values can be missing
    margin = (high - low) / 20 or abs(low) / 20 or 1.0
    return low - margin, high + margin


def _ticks(low: float, high: float) -> Iterator[float]:
    """Yield three to six round numbers between two numbers."""
    min_step = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(min_step))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= min_step)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield number * step


def _shorten(text: str, length: int = 24) -> str:
    length = max(3, length)
    return text if len(text) <= length else text[: length - 1] + "…"


def _canvas(rows: int, columns: int, size: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", (columns * size[0] * _OVERSAMPLING, rows * size[1] * _OVERSAMPLING), _WHITE)


def _reduce(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.reduce(_OVERSAMPLING))

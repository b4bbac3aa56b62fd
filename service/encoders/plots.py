"""Plots of samples, drawn with Pillow only: scatter plots, histograms and curves with axes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from seedmint.models.card import SampleOutput
from seedmint.models.columns import column_numbers

_OVERSAMPLING = 2  # plots are drawn larger by this factor and then reduced, for smooth lines
_SINGLE_SIZE, _GRID_SIZE = (320, 240), (200, 150)  # pixels of a single panel, and of a panel in a grid
_MARGINS = (44, 20, 12, 34)  # left, top, right, bottom
_MAX_PANELS = 16  # columns or channels
_MAX_CURVES = 16  # series in one panel
_BINS = 32
_FONT_SIZE = 10  # pixels
_WHITE, _GREY, _BLUE, _INK = (255, 255, 255), (190, 190, 190), (31, 119, 180), (60, 60, 60)

Color = tuple[int, int, int]
Floats = NDArray[np.float32] | NDArray[np.float64]


def plot(output: SampleOutput, samples: Floats, marked: Floats | None = None) -> NDArray[np.uint8]:
    """Plot samples: two columns as a scatter plot, other columns as histograms, series as curves.

    A plot shows at most 16 columns or channels.

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
    if output.shape == (2,):
        x, y = all_samples[np.isfinite(all_samples).all(axis=1)].T
        axes = _Axes((0, 0), _SINGLE_SIZE, _limits(x), _limits(y), output.names[0], output.names[1])
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
        if output.columns is not None:  # missing values are not shown
            values, every = values[np.isfinite(values)], every[np.isfinite(every)]
            marked_values = marked_values if marked_values is not None and np.isfinite(marked_values) else None
        panel = _Panel(draw, corner, size, values, marked_values, _limits(every), output.names[i])
        if len(output.shape) == 1:
            _histogram(panel)
        else:
            _curves(panel)
    return _reduce(picture)


class _Axes:
    """The axes of a panel. Converts values to positions, in oversampled pixels."""

    def __init__(
        self,
        corner: tuple[int, int],
        size: tuple[int, int],
        x: tuple[float, float],
        y: tuple[float, float],
        x_name: str,
        y_name: str,
    ) -> None:
        left, top, right, bottom = _MARGINS
        self.left, self.right = (corner[0] + left) * _OVERSAMPLING, (corner[0] + size[0] - right) * _OVERSAMPLING
        self.top, self.bottom = (corner[1] + top) * _OVERSAMPLING, (corner[1] + size[1] - bottom) * _OVERSAMPLING
        self.x, self.y, self.x_name, self.y_name = x, y, x_name, y_name

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
        if len(values) == 1:
            self.dot(draw, 0, values[0], 4.0, _BLUE)
        else:
            points = [self.position(step, value) for step, value in enumerate(values.tolist())]
            draw.line(points, fill=_BLUE, width=width, joint="curve")

    def frame(self, draw: ImageDraw.ImageDraw, y_ticks: bool = True) -> None:
        """Draw the axes. Call this last, so that the axes cover points at the edges."""
        font = ImageFont.load_default(_FONT_SIZE * _OVERSAMPLING)
        draw.line([(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], fill=_INK, width=_OVERSAMPLING)
        for x in _ticks(*self.x):
            px, _ = self.position(x, self.y[0])
            draw.line([(px, self.bottom), (px, self.bottom + 3 * _OVERSAMPLING)], fill=_INK, width=_OVERSAMPLING)
            draw.text((px, self.bottom + 4 * _OVERSAMPLING), f"{x:g}", _INK, font, "ma")
        for y in _ticks(*self.y) if y_ticks else ():
            _, py = self.position(self.x[0], y)
            draw.line([(self.left - 3 * _OVERSAMPLING, py), (self.left, py)], fill=_INK, width=_OVERSAMPLING)
            draw.text((self.left - 5 * _OVERSAMPLING, py), f"{y:g}", _INK, font, "rm")
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
        limits: Range of the axis of the values.
        name: Name of the column or channel.
    """

    draw: ImageDraw.ImageDraw
    corner: tuple[int, int]
    size: tuple[int, int]
    values: Floats
    marked: Floats | None
    limits: tuple[float, float]
    name: str


def _histogram(panel: _Panel) -> None:
    draw, marked = panel.draw, panel.marked
    counts, edges = np.histogram(panel.values, _BINS, panel.limits)
    axes = _Axes(panel.corner, panel.size, panel.limits, (0, float(max(1, counts.max())) * 1.05), panel.name, "")
    for count, low, high in zip(counts.tolist(), edges.tolist(), edges[1:].tolist(), strict=False):
        if count:
            (left, top), (right, bottom) = axes.position(low, count), axes.position(high, 0)
            draw.rectangle((left, top, right - 1, bottom), fill=_BLUE if marked is None else _GREY)
    if marked is not None:
        px, _ = axes.position(float(marked), 0)
        draw.line([(px, axes.top), (px, axes.bottom)], fill=_BLUE, width=2 * _OVERSAMPLING)
    axes.frame(draw, y_ticks=False)


def _curves(panel: _Panel) -> None:
    steps = panel.values.shape[1]
    axes = _Axes(panel.corner, panel.size, (0, max(1, steps - 1)), panel.limits, "step", panel.name)
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


def _shorten(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


def _canvas(rows: int, columns: int, size: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", (columns * size[0] * _OVERSAMPLING, rows * size[1] * _OVERSAMPLING), _WHITE)


def _reduce(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.reduce(_OVERSAMPLING))

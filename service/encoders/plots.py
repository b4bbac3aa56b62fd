"""Plots of samples, drawn with Pillow alone: a histogram, a scatter plot, a histogram of each column, or curves with axes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from seedmint.models.card import SampleOutput

_FINE = 2  # drawn so many times larger, then reduced: smooth lines
_WIDE, _NARROW = (320, 240), (200, 150)  # pixels of a panel that is alone, and of one among others
_MARGINS = (44, 20, 12, 34)  # left, top, right, bottom
_PANELS = 16  # columns or channels shown, at most
_CURVES = 16  # series shown at once, at most
_BINS = 32
_FONT = 10  # pixels
_WHITE, _GREY, _BLUE, _INK = (255, 255, 255), (190, 190, 190), (31, 119, 180), (60, 60, 60)

Colour = tuple[int, int, int]
Floats = NDArray[np.float32]


def plot(output: SampleOutput, samples: Floats, marked: Floats | None = None) -> NDArray[np.uint8]:
    """Samples to look at: two columns as points, other columns as histograms, series as curves; at most 16 columns or channels.

    Args:
        output: shape and names.
        samples: float32[n, *shape], n at least 1.
        marked: float32[*shape], one to show before the background of the others. Of series only it is drawn; they set the axes.

    Returns:
        uint8[height, width, 3]
    """
    every = samples if marked is None else np.concatenate([samples, marked[None]])
    if output.shape == (2,):
        x, y = every.T
        axes = _Axes((0, 0), _WIDE, _limits(x), _limits(y), output.names[0], output.names[1])
        picture = _canvas(1, 1, _WIDE)
        draw = ImageDraw.Draw(picture)
        for point in samples:
            axes.dot(draw, point[0], point[1], 1.5, _BLUE if marked is None else _GREY)
        if marked is not None:
            axes.dot(draw, marked[0], marked[1], 4.0, _BLUE)
        axes.frame(draw)
        return _finished(picture)
    count = min(len(output.names), _PANELS)
    columns = math.ceil(math.sqrt(count))
    size = _WIDE if count == 1 else _NARROW
    picture = _canvas(-(-count // columns), columns, size)
    draw = ImageDraw.Draw(picture)
    for i in range(count):
        corner = (i % columns * size[0], i // columns * size[1])
        one = None if marked is None else marked[..., i]
        panel = _Panel(draw, corner, size, samples[..., i], one, _limits(every[..., i]), output.names[i])
        if len(output.shape) == 1:
            _histogram(panel)
        else:
            _curves(panel)
    return _finished(picture)


class _Axes:
    """A panel's frame: where values lie in the picture, in its fine pixels."""

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
        self.left, self.right = (corner[0] + left) * _FINE, (corner[0] + size[0] - right) * _FINE
        self.top, self.bottom = (corner[1] + top) * _FINE, (corner[1] + size[1] - bottom) * _FINE
        self.x, self.y, self.x_name, self.y_name = x, y, x_name, y_name

    def place(self, x: float, y: float) -> tuple[float, float]:
        across, up = (float(x) - self.x[0]) / (self.x[1] - self.x[0]), (float(y) - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)

    def dot(self, draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour) -> None:
        across, down = self.place(x, y)
        r = radius * _FINE
        draw.ellipse((across - r, down - r, across + r, down + r), fill=colour)

    def curve(self, draw: ImageDraw.ImageDraw, values: Floats, width: int) -> None:
        if len(values) == 1:
            self.dot(draw, 0, values[0], 4.0, _BLUE)
        else:
            places = [self.place(step, value) for step, value in enumerate(values.tolist())]
            draw.line(places, fill=_BLUE, width=width, joint="curve")

    def frame(self, draw: ImageDraw.ImageDraw, y_ticks: bool = True) -> None:
        """Drawn last, over what reaches the edges."""
        font = ImageFont.load_default(_FONT * _FINE)
        draw.line([(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], fill=_INK, width=_FINE)
        for x in _ticks(*self.x):
            across, _ = self.place(x, self.y[0])
            draw.line([(across, self.bottom), (across, self.bottom + 3 * _FINE)], fill=_INK, width=_FINE)
            draw.text((across, self.bottom + 4 * _FINE), f"{x:g}", _INK, font, "ma")
        for y in _ticks(*self.y) if y_ticks else ():
            _, down = self.place(self.x[0], y)
            draw.line([(self.left - 3 * _FINE, down), (self.left, down)], fill=_INK, width=_FINE)
            draw.text((self.left - 5 * _FINE, down), f"{y:g}", _INK, font, "rm")
        below = self.bottom + (_MARGINS[3] - 2) * _FINE
        draw.text(((self.left + self.right) / 2, below), _short(self.x_name), _INK, font, "md")
        draw.text((self.left, self.top - 4 * _FINE), _short(self.y_name), _INK, font, "ls")


@dataclass(frozen=True)
class _Panel:
    """One column or channel, and where it is drawn: `values` float32[n] or float32[n, length], and `marked` one of such."""

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
    axes = _Axes(panel.corner, panel.size, panel.limits, (0, float(counts.max()) * 1.05), panel.name, "")
    for count, low, high in zip(counts.tolist(), edges.tolist(), edges[1:].tolist(), strict=False):
        if count:
            (left, top), (right, bottom) = axes.place(low, count), axes.place(high, 0)
            draw.rectangle((left, top, right - 1, bottom), fill=_BLUE if marked is None else _GREY)
    if marked is not None:
        across, _ = axes.place(float(marked), 0)
        draw.line([(across, axes.top), (across, axes.bottom)], fill=_BLUE, width=2 * _FINE)
    axes.frame(draw, y_ticks=False)


def _curves(panel: _Panel) -> None:
    steps = panel.values.shape[1]
    axes = _Axes(panel.corner, panel.size, (0, max(1, steps - 1)), panel.limits, "step", panel.name)
    for curve in panel.values[:_CURVES] if panel.marked is None else (panel.marked,):
        axes.curve(panel.draw, curve, _FINE if panel.marked is None else 2 * _FINE)
    axes.frame(panel.draw)


def _limits(values: Floats) -> tuple[float, float]:
    """From the least to the greatest, and a twentieth of that on both sides."""
    low, high = float(values.min()), float(values.max())
    room = (high - low) / 20 or abs(low) / 20 or 1.0
    return low - room, high + room


def _ticks(low: float, high: float) -> Iterator[float]:
    """Round numbers between two: three to six of them."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield number * step


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


def _canvas(rows: int, columns: int, size: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", (columns * size[0] * _FINE, rows * size[1] * _FINE), _WHITE)


def _finished(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.reduce(_FINE))

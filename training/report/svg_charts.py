"""Charts of the report as SVG. The colors are CSS variables of the page, so that charts suit light and dark pages.

The same numbers give the same bytes.
"""

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Placeholder colors for matplotlib, and the CSS variables that replace them.
_INK, _FAINT = "#010101", "#020202"
_COLORS = {_INK: "var(--ink)", _FAINT: "var(--faint)", "#030303": "var(--first)", "#040404": "var(--second)"}
_SERIES = ("#030303", "#040404")
_NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
_STANDALONE_STYLE = """<style>
:root { --ink: #20242a; --faint: #c4c8cc; --first: #1f6fb4; --second: #c8591a; background: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6e8; --faint: #4a4f55; --first: #6cb2f0; --second: #f0975a; background: #16181b; }
}
</style>"""
_MAX_MARKERS = 40  # a line with fewer points shows markers
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # names of the data can have dollar signs
    **{"svg.fonttype": "none", "svg.hashsalt": "seedmint", "figure.facecolor": "none", "axes.facecolor": "none"},
    **{"font.size": 9.0, "axes.titlesize": 10.5, "axes.titlelocation": "left", "axes.titleweight": "bold"},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.formatter.useoffset": False, "legend.frameon": False},
    **{"axes.grid": True, "axes.axisbelow": True, "grid.linewidth": 0.4, "grid.color": _FAINT, "axes.edgecolor": _FAINT},
    **{"text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK},
}


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        label: Name for the legend.
        x: Horizontal coordinates.
        y: Values.
        error: Standard errors of y, drawn as a band; None draws no band.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    error: Sequence[float] | None = None


@dataclass(frozen=True)
class Level:
    """A reference value, drawn as a dashed line.

    Attributes:
        label: Text at the right of the line.
        value: The value.
        error: Standard error of the value, drawn as a band.
    """

    label: str
    value: float
    error: float = 0.0


def chart(title: str, x_label: str, lines: Sequence[Line], levels: Sequence[Level] = (), wide: bool = False) -> str:
    """Return a line chart as an <svg> element.

    Args:
        title: Name and unit of y.
        x_label: Name of x.
        lines: One or two lines, each with at least one point.
        levels: Reference values.
        wide: Whether the chart is twice as wide, and higher.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 3.8) if wide else (4.6, 2.7), layout="constrained")
        axes = figure.add_subplot()
        for line, color in zip(lines, _SERIES, strict=False):
            marker = "o" if len(line.x) < _MAX_MARKERS else None
            axes.plot(line.x, line.y, color=color, linewidth=1.5, label=line.label, marker=marker, markersize=3)
            if line.error is not None:
                low, high = ([y + sign * e for y, e in zip(line.y, line.error, strict=True)] for sign in (-1, 1))
                axes.fill_between(line.x, low, high, color=color, alpha=0.25, linewidth=0)
        for level in levels:
            axes.axhline(level.value, color=_INK, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.75)
            if level.error:
                axes.axhspan(level.value - level.error, level.value + level.error, color=_INK, alpha=0.1, linewidth=0)
        axes.set_title(title)
        axes.set_xlabel(x_label)
        if len(lines) > 1:
            axes.legend(loc="best")
        _label_levels(axes, levels, min_distance=0.05 if wide else 0.09)
        return _svg(figure, title)


def standalone_svg(svg: str) -> str:
    """Return a chart as an SVG file, with the colors of the report.

    Args:
        svg: An <svg> element from `chart` or `bars`.
    """
    opening, rest = svg.replace("<svg", f"<svg {_NAMESPACES}", 1).split(">", 1)
    return f"{opening}>{_STANDALONE_STYLE}{rest}"


def bars(title: str, names: Sequence[str], groups: Sequence[tuple[str, Sequence[float]]], wide: bool = True) -> str:
    """Return a bar chart as an <svg> element.

    Args:
        title: Name of the bars' height.
        names: Names on the horizontal axis.
        groups: Label and heights of one or two groups of bars. Each group has its own color.
        wide: Whether the chart is twice as wide.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 2.9) if wide else (4.6, 2.7), layout="constrained")
        axes = figure.add_subplot()
        width = 0.8 / len(groups)
        for index, ((label, heights), color) in enumerate(zip(groups, _SERIES, strict=False)):
            positions = [position - 0.4 + width * (index + 0.5) for position in range(len(names))]
            axes.bar(positions, heights, width=width * 0.94, color=color, label=label, linewidth=0)
        is_rotated = max(len(name) for name in names) > 5
        axes.set_xticks(range(len(names)), names, rotation=30 if is_rotated else 0, ha="right" if is_rotated else "center")
        axes.grid(visible=False, axis="x")
        axes.set_title(title)
        if wide:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        else:
            axes.legend(loc="best")
        return _svg(figure, title)


def histogram(title: str, edges: Sequence[float], groups: Sequence[tuple[str, Sequence[float]]], ticks: Sequence[str]) -> str:
    """Return a histogram as an <svg> element.

    Args:
        title: Name of the values.
        edges: Limits of the bins, ascending, one more than bins.
        groups: Label and heights of one or two groups of bins. Each group has its own color.
        ticks: Names of the first, the middle and the last limit.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 2.7), layout="constrained")
        axes = figure.add_subplot()
        for (label, heights), color in zip(groups, _SERIES, strict=False):
            axes.stairs(heights, edges, color=color, label=label, linewidth=1.5)
        axes.set_xticks([edges[0], (edges[0] + edges[-1]) / 2, edges[-1]], ticks)
        axes.set_title(title)
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")
        return _svg(figure, title)


def _label_levels(axes: Axes, levels: Sequence[Level], min_distance: float) -> None:
    """Draw the labels of the levels at the right, at least `min_distance` (in units of the axes' height) from each other."""
    bottom, top = axes.get_ylim()
    positions: list[float] = []
    for level in sorted(levels, key=lambda level: level.value):
        position = (level.value - bottom) / (top - bottom)
        positions.append(max(position, positions[-1] + min_distance) if positions else position)
        axes.text(1.01, positions[-1], level.label, transform=axes.transAxes, va="center", fontsize=8)


def _svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # group ids are unused, and would not be unique on the page
    for placeholder, color in _COLORS.items():
        text = text.replace(placeholder, color)
    opening = rf'<svg viewBox="\1" role="img" aria-label="{html.escape(title)}">'
    return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', opening, text, count=1)

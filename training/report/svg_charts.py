"""Charts for the report, as SVG that takes its colours from the page around it, so that they read in light and in dark.

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

# What stands for the page's colours while matplotlib draws, and what it becomes.
_INK, _FAINT = "#010101", "#020202"
_COLOURS = {_INK: "var(--ink)", _FAINT: "var(--faint)", "#030303": "var(--first)", "#040404": "var(--second)"}
_SERIES = ("#030303", "#040404")
_NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
_ALONE = """<style>
:root { --ink: #20242a; --faint: #c4c8cc; --first: #1f6fb4; --second: #c8591a; background: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6e8; --faint: #4a4f55; --first: #6cb2f0; --second: #f0975a; background: #16181b; }
}
</style>"""
_MARKED = 40  # a series of fewer points shows them
_STYLE: dict[Any, Any] = {
    **{"svg.fonttype": "none", "svg.hashsalt": "seedmint", "figure.facecolor": "none", "axes.facecolor": "none"},
    **{"font.size": 9.0, "axes.titlesize": 10.5, "axes.titlelocation": "left", "axes.titleweight": "bold"},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.formatter.useoffset": False, "legend.frameon": False},
    **{"axes.grid": True, "axes.axisbelow": True, "grid.linewidth": 0.4, "grid.color": _FAINT, "axes.edgecolor": _FAINT},
    **{"text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK},
}


@dataclass(frozen=True)
class Line:
    """A series: y at x, and if there are any, standard errors of y, drawn as a band."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    error: Sequence[float] | None = None


@dataclass(frozen=True)
class Level:
    """A value to hold a series against, with its standard error."""

    label: str
    value: float
    error: float = 0.0


def chart(title: str, x_label: str, lines: Sequence[Line], levels: Sequence[Level] = (), wide: bool = False) -> str:
    """Up to two series and any number of levels, as an <svg> element.

    Args:
        title: says what y is, with its unit.
        x_label: says what x is.
        lines: each with at least one point; at most two.
        levels: dashed lines, labelled at the right.
        wide: twice as wide, and higher.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 3.8) if wide else (4.6, 2.7), layout="constrained")
        axes = figure.add_subplot()
        for line, colour in zip(lines, _SERIES, strict=False):
            marker = "o" if len(line.x) < _MARKED else None
            axes.plot(line.x, line.y, color=colour, linewidth=1.5, label=line.label, marker=marker, markersize=3)
            if line.error is not None:
                low, high = ([y + sign * e for y, e in zip(line.y, line.error, strict=True)] for sign in (-1, 1))
                axes.fill_between(line.x, low, high, color=colour, alpha=0.25, linewidth=0)
        for level in levels:
            axes.axhline(level.value, color=_INK, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.75)
            if level.error:
                axes.axhspan(level.value - level.error, level.value + level.error, color=_INK, alpha=0.1, linewidth=0)
        axes.set_title(title)
        axes.set_xlabel(x_label)
        if len(lines) > 1:
            axes.legend(loc="best")
        _label_levels(axes, levels, apart=0.05 if wide else 0.09)
        return _svg(figure, title)


def standalone(svg: str) -> str:
    """A chart as a file of its own, with the colours that its page would give it."""
    opening, rest = svg.replace("<svg", f"<svg {_NAMESPACES}", 1).split(">", 1)
    return f"{opening}>{_ALONE}{rest}"


def bars(title: str, names: Sequence[str], groups: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Bars side by side for each name, a colour a group, as an <svg> element; at most two groups.

    Args:
        title: says what the bars' height is.
        names: what the bars are of.
        groups: the label and the heights of each.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 2.9), layout="constrained")
        axes = figure.add_subplot()
        width = 0.8 / len(groups)
        for index, ((label, heights), colour) in enumerate(zip(groups, _SERIES, strict=False)):
            places = [place - 0.4 + width * (index + 0.5) for place in range(len(names))]
            axes.bar(places, heights, width=width * 0.94, color=colour, label=label, linewidth=0)
        long = max(len(name) for name in names) > 5
        axes.set_xticks(range(len(names)), names, rotation=30 if long else 0, ha="right" if long else "center")
        axes.grid(visible=False, axis="x")
        axes.set_title(title)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return _svg(figure, title)


def _label_levels(axes: Axes, levels: Sequence[Level], apart: float) -> None:
    """The levels' labels at the right, moved `apart` (of the axes' height) where they would lie on one another."""
    bottom, top = axes.get_ylim()
    places: list[float] = []
    for level in sorted(levels, key=lambda level: level.value):
        place = (level.value - bottom) / (top - bottom)
        places.append(max(place, places[-1] + apart) if places else place)
        axes.text(1.01, places[-1], level.label, transform=axes.transAxes, va="center", fontsize=8)


def _svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # nothing refers to groups, and a page holds many charts
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    opening = rf'<svg viewBox="\1" role="img" aria-label="{html.escape(title)}">'
    return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', opening, text, count=1)

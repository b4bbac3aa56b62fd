"""Plots samples: a scatter plot of two columns, otherwise a histogram of each column; lines for series."""

import io
import math
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

_BINS = 60
_MAX_SERIES = 10
_MAX_PANELS = 16  # columns or channels

Floats = NDArray[np.float32] | NDArray[np.float64]
SampleSets = dict[str, Floats]


def plot(samples: Floats, names: tuple[str, ...], real: Floats | None = None) -> bytes:
    """Return a PNG: a scatter plot of two columns, a histogram of each column, or lines of the first series.

    Args:
        samples: float[n, columns] or float[n, length, channels], n at least 1. NaN is not shown.
        names: Names of the columns or channels; the plot shows the first 16.
        real: Data for comparison, of the same shape except for n; None shows no data.
    """
    sets: SampleSets = {"": samples} if real is None else {"data": real, "generated": samples}
    if samples.ndim == 3:
        figure = _lines(sets, names[:_MAX_PANELS])
    elif len(names) == 2:
        figure = _scatter(sets, names)
    else:
        figure = _histograms(sets, names[:_MAX_PANELS])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _scatter(sets: SampleSets, names: tuple[str, ...]) -> Figure:
    figure, rows = _panels(1, len(sets), 5.0, 5.0, share=True)
    for axes, (title, values) in zip(rows[0], sets.items(), strict=True):
        axes.scatter(values[:, 0], values[:, 1], s=4, alpha=0.5, linewidths=0)
        axes.set(xlabel=names[0], ylabel=names[1], title=title, aspect="equal")
    return figure


def _histograms(sets: SampleSets, names: tuple[str, ...]) -> Figure:
    columns = math.ceil(math.sqrt(len(names)))
    figure, rows = _panels(-(-len(names) // columns), columns, 5.0 if columns == 1 else 3.2, 3.2, share=False)
    for i, axes in enumerate(axes for row in rows for axes in row):
        if i >= len(names):
            axes.set_visible(False)
            continue
        column = np.concatenate([values[:, i] for values in sets.values()])
        known = column[np.isfinite(column)]
        limits = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        for title, values in sets.items():
            axes.hist(values[np.isfinite(values[:, i]), i], bins=_BINS, range=limits, density=True, alpha=0.6, label=title)
        axes.set(xlabel=names[i], yticks=[])
        if len(sets) > 1:
            axes.legend(frameon=False)
    return figure


def _lines(sets: SampleSets, names: tuple[str, ...]) -> Figure:
    """One row of panels for each channel."""
    figure, rows = _panels(len(names), len(sets), 5.0, 3.2, share="row")
    for i, row in enumerate(rows):
        for axes, (title, values) in zip(row, sets.items(), strict=True):
            axes.plot(values[:_MAX_SERIES, :, i].T, linewidth=1)
            axes.set(xlabel="step", ylabel=names[i], title=title)
    return figure


def _panels(
    rows: int, columns: int, width: float, height: float, share: bool | Literal["row"]
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with rows of panels. Each panel is width x height inches, at 100 pixels per inch.

    The panels of all rows, or of each row, can have the same limits of y. Panels that share them also share those of x.
    """
    figure = Figure(figsize=(width * columns, height * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=bool(share), sharey=share)
    return figure, [list(row) for row in axes]

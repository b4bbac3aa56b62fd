"""Plots of samples, for looking at: a scatter plot of two columns, a histogram of each of other columns, curves of series."""

import io
import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

_BINS = 60
_CURVES = 10
_PANELS = 16  # columns or channels shown

Shown = dict[str, NDArray[np.float32]]


def plot(samples: NDArray[np.float32], names: tuple[str, ...], real: NDArray[np.float32] | None = None) -> bytes:
    """A PNG of samples: of two columns a scatter plot, of other columns a histogram each, of series the first few.

    Args:
        samples: float32[n, columns] or float32[n, length, channels], n at least 1.
        names: of the columns or channels; the first 16 are shown.
        real: data to show beside them, of the same shape but for n; None shows none.
    """
    shown: Shown = {"": samples} if real is None else {"data": real, "generated": samples}
    if samples.ndim == 3:
        figure = _curves(shown, names[:_PANELS])
    elif len(names) == 2:
        figure = _points(shown, names)
    else:
        figure = _histograms(shown, names[:_PANELS])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _points(shown: Shown, names: tuple[str, ...]) -> Figure:
    figure, rows = _panels(1, len(shown), 5.0, 5.0, share=True)
    for axes, (title, values) in zip(rows[0], shown.items(), strict=True):
        axes.scatter(values[:, 0], values[:, 1], s=4, alpha=0.5, linewidths=0)
        axes.set(xlabel=names[0], ylabel=names[1], title=title, aspect="equal")
    return figure


def _histograms(shown: Shown, names: tuple[str, ...]) -> Figure:
    columns = math.ceil(math.sqrt(len(names)))
    figure, rows = _panels(-(-len(names) // columns), columns, 5.0 if columns == 1 else 3.2, 3.2, share=False)
    for i, axes in enumerate(axes for row in rows for axes in row):
        if i >= len(names):
            axes.set_visible(False)
            continue
        every = np.concatenate([values[:, i] for values in shown.values()])
        limits = float(every.min()), float(every.max())
        for title, values in shown.items():
            axes.hist(values[:, i], bins=_BINS, range=limits, density=True, alpha=0.6, label=title)
        axes.set(xlabel=names[i], yticks=[])
        if len(shown) > 1:
            axes.legend(frameon=False)
    return figure


def _curves(shown: Shown, names: tuple[str, ...]) -> Figure:
    """A row for each channel."""
    figure, rows = _panels(len(names), len(shown), 5.0, 3.2, share=True)
    for i, row in enumerate(rows):
        for axes, (title, values) in zip(row, shown.items(), strict=True):
            axes.plot(values[:_CURVES, :, i].T, linewidth=1)
            axes.set(xlabel="step", ylabel=names[i], title=title)
    return figure


def _panels(rows: int, columns: int, width: float, height: float, share: bool) -> tuple[Figure, list[list[Axes]]]:
    """A figure of panels of width x height inches, a hundred pixels each."""
    figure = Figure(figsize=(width * columns, height * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    return figure, [list(row) for row in axes]

"""Plots of samples, for looking at: a histogram, a scatter plot, a histogram of each column, or curves."""

import io
import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

_BINS = 60
_CURVES = 24
_PANELS = 16  # columns or channels shown
_POINTS = {"s": 4, "alpha": 0.5, "linewidths": 0}


def plot(samples: NDArray[np.float32], names: tuple[str, ...], real: NDArray[np.float32] | None = None) -> bytes:
    """A PNG of samples: of one column a histogram, of two a scatter plot, of more a histogram each, of series the first few.

    Args:
        samples: float32[n, columns] or float32[n, length, channels], n at least 1.
        names: of the columns or channels.
        real: data to show beside them, of the same shape but for n; None shows none.
    """
    shown = {"data": real, "generated": samples} if real is not None else {"": samples}
    if samples.ndim == 3 or samples.shape[1] != 2:
        panels = min(len(names), _PANELS)
        columns = math.ceil(math.sqrt(panels))
        rows = -(-panels // columns)
        figure = Figure(figsize=(max(5.0, 3.2 * columns), max(3.2, 2.2 * rows)), dpi=100, layout="constrained")
        for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            if i >= panels:
                axes.set_visible(False)
            elif samples.ndim == 2:
                _histogram(axes, {key: values[:, i] for key, values in shown.items()}, names[i])
            else:
                _curves(axes, {key: values[:, :, i] for key, values in shown.items()}, names[i])
    else:
        figure = Figure(figsize=(5 * len(shown), 5), dpi=100, layout="constrained")
        for axes, (title, values) in zip(
            figure.subplots(1, len(shown), squeeze=False, sharex=True, sharey=True).flat, shown.items(), strict=True
        ):
            axes.scatter(values[:, 0], values[:, 1], **_POINTS)
            axes.set(xlabel=names[0], ylabel=names[1], title=title, aspect="equal")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _histogram(axes: Axes, shown: dict[str, NDArray[np.float32]], name: str) -> None:
    every = np.concatenate(list(shown.values()))
    limits = float(every.min()), float(every.max())
    for title, values in shown.items():
        axes.hist(values, bins=_BINS, range=limits, density=True, alpha=0.6, label=title)
    axes.set(xlabel=name, yticks=[])
    if len(shown) > 1:
        axes.legend(frameon=False)


def _curves(axes: Axes, shown: dict[str, NDArray[np.float32]], name: str) -> None:
    for number, (title, values) in enumerate(shown.items()):
        lines = axes.plot(values[:_CURVES].T, color=f"C{number}", alpha=0.5, linewidth=1)
        lines[0].set_label(title)
    axes.set(xlabel="step", ylabel=name)
    if len(shown) > 1:
        axes.legend(frameon=False)

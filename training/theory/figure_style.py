"""Style and PNG encoding of the figures. The bytes are the same on every run.

The colors are from Okabe & Ito (2008) and suit color-blind readers; lines also differ in their dashes.
"""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
GREY = "#8A8A8A"
DATA = {"color": BLACK, "linestyle": (0, (1, 1.3)), "linewidth": 2.2}
"""p_data is black and dotted, p_g green and solid, D blue and dashed, as in the paper's figure 1."""
MODEL = {"color": GREEN, "linewidth": 2.2}
D = {"color": BLUE, "linestyle": (0, (5, 2)), "linewidth": 2.0}
D_STAR = {"color": ORANGE, "linewidth": 1.6}

_STYLE = {
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#333333",
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "mathtext.fontset": "dejavusans",
    "figure.dpi": 110,
    "figure.facecolor": "white",
}
_MAX_COLORS = 128


def styled() -> AbstractContextManager[None]:
    """Return a context in which figures have this style, independent of the user's settings."""
    context: AbstractContextManager[None] = mpl.rc_context({**mpl.rcParamsDefault, **_STYLE})
    return context


def panels(columns: int, width: float = 10.5, height: float = 3.5) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with panels side by side.

    Args:
        columns: Number of panels.
        width: Width of the figure, inches.
        height: Height of the figure, inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def curve(axes: Axes, x: Tensor | Sequence[float], y: Tensor | Sequence[float], **style: object) -> None:
    """Draw a line.

    Args:
        axes: The panel.
        x: Horizontal coordinates.
        y: Vertical coordinates.
        style: Properties of the line.
    """
    axes.plot(list(map(float, x)), list(map(float, y)), **style)


def png(figure: Figure) -> bytes:
    """Return a PNG with a palette, without a date or a program name.

    Args:
        figure: The figure.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(_MAX_COLORS, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return buffer.getvalue()

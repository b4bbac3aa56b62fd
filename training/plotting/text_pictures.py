"""Draws strings in columns, for previews and reports."""

import io
import math
from collections.abc import Sequence

from matplotlib.figure import Figure

_LINE_WIDTH = 96  # characters
_SHOWN = 64
_CELL = (0.095, 0.24)  # inches of a character
_GAP = 3  # characters between columns
_FONT_SIZE = 10


def text_picture(strings: Sequence[str], real: Sequence[str] | None = None) -> bytes:
    """Return a PNG of the first 64 strings in columns, beside as many real strings.

    Args:
        strings: Generated strings.
        real: Real strings; None shows only the generated ones.
    """
    parts = {"": strings} if real is None else {"data": real, "generated": strings}
    shown = {title: list(part[:_SHOWN]) for title, part in parts.items()}
    longest = max((len(text) for part in shown.values() for text in part), default=1)
    columns = max(1, min(4, _LINE_WIDTH // len(shown) // (longest + _GAP)))
    rows = math.ceil(max(len(part) for part in shown.values()) / columns)
    width = columns * (longest + _GAP)
    figure = Figure(figsize=(max(3.0, len(shown) * width * _CELL[0]), (rows + 2) * _CELL[1]), dpi=100)
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    figure.subplots_adjust(0.02, 0.02, 0.98, 1 - 1.5 / (rows + 2), 0.05)
    for panel, (title, part) in zip(axes, shown.items(), strict=True):
        panel.set(xlim=(0, width), ylim=(rows, 0), title=title)
        panel.axis("off")
        for i, text in enumerate(part):
            place = (i % columns * (longest + _GAP), i // columns + 0.5)
            panel.text(*place, text, family="monospace", fontsize=_FONT_SIZE, va="center", parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()

"""Charts of the columns of a table: the values of held-out rows beside those of generated rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.columns import NULL, Column, json_value
from seedmint.training.report.svg_charts import bars, histogram

MAX_CHARTS = 40
"""Most columns with a chart."""

_MAX_BARS = 12  # values; more of them are one bar
_BINS = 30
_MAX_NAME = 24  # characters of a value below its bar
_MISSING, _OTHERS = "(missing)", "(others)"


def column_charts(
    columns: tuple[Column, ...], held_out: NDArray[np.float32], generated: NDArray[np.float32]
) -> list[tuple[str, str]]:
    """Return the name and the chart, an <svg> element, of each of the first `MAX_CHARTS` columns.

    Text, booleans and columns with few different values have a bar for each value, and others have histograms of the values
    that are not missing. The heights are shares of the rows.

    Args:
        columns: Types of the columns.
        held_out: float32[n, columns], codes.
        generated: float32[m, columns], codes.
    """
    found = []
    for i, column in enumerate(columns[:MAX_CHARTS]):
        real, made = held_out[:, i], generated[:, i]
        title = column.name if column.unit is None else f"{column.name} ({column.unit})"
        if column.first is None or len(np.unique(real[real != NULL])) <= _MAX_BARS:
            found.append((column.name, _bars(column, title, real, made)))
        else:
            found.append((column.name, _histogram(column, title, real, made)))
    return found


def _bars(column: Column, title: str, real: NDArray[np.float32], made: NDArray[np.float32]) -> str:
    """Return bars of the most frequent values of the held-out rows, in their own order."""
    values, counts = np.unique(real, return_counts=True)
    shown = np.sort(values[np.argsort(-counts, kind="stable")[:_MAX_BARS]])
    names = [_name(column, code) for code in shown.tolist()]
    shares = [[float((part == code).mean()) for code in shown] for part in (real, made)]
    others = [float((~np.isin(part, shown)).mean()) for part in (real, made)]
    if any(others):
        names.append(_OTHERS)
        shares = [[*part, share] for part, share in zip(shares, others, strict=True)]
    return bars(title, names, [("held-out rows", shares[0]), ("generated", shares[1])], wide=False)


def _histogram(column: Column, title: str, real: NDArray[np.float32], made: NDArray[np.float32]) -> str:
    known = [part[part != NULL] for part in (real, made)]
    low, high = (float(limit(np.concatenate(known))) for limit in (np.min, np.max))
    edges = np.linspace(low, high, _BINS + 1)
    shares = [(np.histogram(part, edges)[0] / max(1, len(part))).tolist() for part in known]
    ticks = [_name(column, code) for code in (low, round((low + high) / 2), high)]
    return histogram(title, edges.tolist(), [("held-out rows", shares[0]), ("generated", shares[1])], ticks)


def _name(column: Column, code: float) -> str:
    value: Any = column.values(np.array([code], np.float32))[0]
    if value is None:
        return _MISSING
    text = str(value).lower() if isinstance(value, bool) else str(json_value(value))
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"

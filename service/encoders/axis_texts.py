"""Texts at the marks of an axis: numbers, and for columns of a table their values instead of codes."""

import datetime
from collections.abc import Callable

from seedmint.models.columns import Column

AxisText = Callable[[float], str]

_LONG_DAYS = 1000  # longer ranges of dates have months, and shorter ranges have days
_DAY = 86_400_000_000  # microseconds
_EPOCH = datetime.date(1970, 1, 1)
_FIRST, _LAST = datetime.date.min.toordinal(), datetime.date.max.toordinal()


def number_text(value: float) -> str:
    """Return a number with at most six digits.

    Args:
        value: Position of the mark.
    """
    return f"{value:g}"


def axis_text(column: Column, low: float, high: float) -> AxisText:
    """Return the texts of an axis of a column, by its values as numbers (`Column.numbers`).

    Args:
        column: The column.
        low: Beginning of the axis.
        high: End of the axis.

    Returns:
        A function from a position to a text, which is empty between two categories.
    """
    if column.first is None:
        names = column.categories or ("false", "true")
        return lambda at: names[int(at)] if at == int(at) and 0 <= at < len(names) else ""
    if column.type == "date":
        return lambda at: _day_text(at, high - low)
    if column.type == "datetime":
        return lambda at: _day_text(at / _DAY, (high - low) / _DAY)
    if column.type == "integer":
        return lambda at: str(int(at)) if at == int(at) else ""
    return _clock_text if column.type == "time" else number_text


def _day_text(day: float, days: float) -> str:
    ordinal = _EPOCH.toordinal() + int(day // 1)
    if not _FIRST <= ordinal <= _LAST:
        return ""
    date = datetime.date.fromordinal(ordinal)
    if days > _LONG_DAYS:
        return f"{date.year:04}-{date.month:02}"
    return date.isoformat() if days > 1 else _clock_text(day % 1 * _DAY)


def _clock_text(microseconds: float) -> str:
    seconds = int(microseconds // 1_000_000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}" if 0 <= microseconds < _DAY else ""

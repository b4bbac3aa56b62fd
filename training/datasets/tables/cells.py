"""Finds the type of a column of text cells: numbers with their marks, booleans, dates, times, or text."""

import re
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "none", "?", "-", "#N/A", "<NA>", "NaT")
_INFINITE = r"^[+-]?(?i:inf|infinity)$"
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DATE, _CLOCK = r"\d{4}-\d{2}-\d{2}", r"\d{1,2}:\d{2}(:\d{2}([.,]\d{1,9})?)?"
_DATE_ORDERS = {  # pattern of the cells -> orders of the parts for ISO 8601; dates are found if one order gives dates only
    rf"^{_DATE}$": (r"\0",),
    r"^(\d{1,2})\.(\d{1,2})\.(\d{4})$": (r"\3-\2-\1",),
    r"^(\d{4})/(\d{1,2})/(\d{1,2})$": (r"\1-\2-\3",),
    r"^(\d{1,2})/(\d{1,2})/(\d{4})$": (r"\3-\2-\1", r"\3-\1-\2"),
}
_DATETIME = rf"^{_DATE}[T ]{_CLOCK}(Z|[+-]\d{{2}}:?\d{{2}})?$"
_MIN_ROWS, _MAX_OTHERS = 10, 0.1  # of a column whose cells are numbers except for a few
_ZONE = r"(Z|[+-]\d{2}:?\d{2})$"

Decimal = Literal[".", ","]
Thousands = Literal[",", ".", " ", "'"]


@dataclass(frozen=True)
class NumberMarks:
    """Marks of numbers. None: to be found in each column.

    Attributes:
        decimal: The mark before the decimals.
        thousands: The mark between groups of three digits.
    """

    decimal: Decimal | None = None
    thousands: Thousands | None = None


def is_value(cell: str) -> bool:
    """Return whether a cell of the first line shows that this line is not a header: a number, a boolean, a date or a time.

    Args:
        cell: The cell.
    """
    text = cell.strip()
    patterns = (r"^[+-]?[\d.,' ]*\d(?:[eE][+-]?\d+)?$", *_DATE_ORDERS, _DATETIME, rf"^{_CLOCK}$")
    return text in _BOOLEANS or any(re.match(pattern, text) for pattern in patterns)


def typed_column(cells: pa.ChunkedArray, name: str, path: str, marks: NumberMarks) -> tuple[pa.ChunkedArray, str | None]:
    """Return the values of a column of text.

    Args:
        cells: Strings.
        name: Name of the column, for error messages.
        path: The file, for error messages.
        marks: The marks of numbers; None for what shall be found.

    Returns:
        The values as int64, float64, bool, date32, time64, timestamp or string, null where they are missing; and a note if the
        numbers have other marks than a decimal point.

    Raises:
        DataError: A number is infinite.
    """
    stripped = pc.utf8_trim_whitespace(cells)
    cells = pc.if_else(pc.is_in(stripped, pa.array(MISSING)), None, stripped)
    known = cells.drop_null()
    if not len(known):
        return cells, None
    if pc.all(pc.is_in(known, pa.array(list(_BOOLEANS)))).as_py():
        is_true = pc.is_in(cells, pa.array([text for text, value in _BOOLEANS.items() if value]))
        return pc.if_else(pc.is_null(cells), None, is_true), None
    dated, note = _dates(cells, known, name)
    if dated is not None:
        return dated, note
    return _numbers(cells, known, name, path, marks)


def _dates(cells: pa.ChunkedArray, known: pa.ChunkedArray, name: str) -> tuple[pa.ChunkedArray | None, str | None]:
    """Return dates, times, or dates with times; None if the cells are something else."""
    for pattern, orders in _DATE_ORDERS.items():
        if _all_match(known, pattern):
            found = [_try_cast(_padded(pc.replace_substring_regex(cells, pattern, order)), pa.date32()) for order in orders]
            found = [dates for dates in found if dates is not None]
            if len(found) == 1:
                note = None if orders[0] == r"\0" else f"{name}: dates such as {known[0]}, returned as YYYY-MM-DD"
                return found[0], note
    if _all_match(known, _DATETIME):
        return _moments(cells), None
    if _all_match(known, rf"^{_CLOCK}$"):
        padded = pc.replace_substring_regex(cells, r"^(\d):", r"0\1:")
        moments = _try_cast(pc.binary_join_element_wise("1970-01-01", padded, " "), pa.timestamp("us"))
        return None if moments is None else moments.cast(pa.time64("us")), None
    return None, None


def _numbers(
    cells: pa.ChunkedArray, known: pa.ChunkedArray, name: str, path: str, marks: NumberMarks
) -> tuple[pa.ChunkedArray, str | None]:
    zeros = known.filter(pc.match_substring_regex(known, r"^0\d+$"))  # such as postal codes
    if len(zeros):
        return cells, f"{name}: text, because of leading zeros such as in {zeros[0].as_py()}"
    texts, cells, known = cells, _plain_marks(cells), _plain_marks(known)
    is_infinite = pc.match_substring_regex(cells, _INFINITE)
    finite = known.filter(pc.invert(pc.match_substring_regex(known, _INFINITE)))
    found = _find_marks(finite, marks)
    if found is None:
        _check_no_outlier(cells, name, path)
        return texts, None
    if pc.any(is_infinite).as_py():
        row = pc.index(is_infinite, True).as_py()
        message = f"the value in column {quoted(name)}, row {row + 1} of {path} is infinite; correct or remove the row"
        raise DataError(message, field="data.columns", reason="not_finite")
    decimal, thousands = found
    plain = cells if thousands is None else pc.replace_substring(cells, thousands, "")
    plain = pc.replace_substring(plain, ",", ".") if decimal == "," else plain
    plain = pc.replace_substring_regex(plain, r"^\+", "")
    integers = _try_cast(plain, pa.int64()) if _all_match(plain.drop_null(), r"^-?\d{1,18}$") else None
    values = integers if integers is not None else _try_cast(plain, pa.float64())
    if values is None:
        return texts, None
    parts = (["decimal comma"] if decimal == "," else []) + ([f"thousands {quoted(thousands)}"] if thousands else [])
    return values, f"{name}: {', '.join(parts)}" if parts else None


def _plain_marks(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers with a plain space, apostrophe and minus in place of typographic ones."""
    for pattern, mark in (("[\u00a0\u2009\u202f]", " "), ("\u2019", "'"), ("^\u2212", "-")):
        cells = pc.replace_substring_regex(cells, pattern, mark)
    return cells


def _check_no_outlier(cells: pa.ChunkedArray, name: str, path: str) -> None:
    """Refuse a column that is numeric except for a few cells, which are errors rather than categories."""
    is_number = pc.match_substring_regex(cells, r"^[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$")
    others = len(cells) - cells.null_count - pc.sum(is_number).as_py()
    if len(cells) >= _MIN_ROWS and others <= _MAX_OTHERS * len(cells):
        row = pc.index(is_number, False).as_py()
        message = (
            f"{quoted(cells[row].as_py())} in column {quoted(name)}, row {row + 1} of {path} is not a number, but most of the "
            "column is: correct the cell or leave it empty, or choose other columns"
        )
        raise DataError(message, field="data.columns", reason="not_numeric")


def _find_marks(known: pa.ChunkedArray, marks: NumberMarks) -> tuple[Decimal, Thousands | None] | None:
    """Return the marks with which all cells are numbers, or None."""
    if not len(known):
        return None
    choices: list[tuple[Decimal, Thousands | None]] = [
        *((".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
    ]
    for decimal, thousands in choices:
        if marks.decimal not in (None, decimal) or (marks.thousands is not None and marks.thousands != thousands):
            continue
        digits = r"\d+" if thousands is None else rf"(?:\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|\d+)"
        if _all_match(known, rf"^[+-]?(?:{digits}(?:{re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+)(?:[eE][+-]?\d+)?$"):
            return decimal, thousands
    return None


def _moments(cells: pa.ChunkedArray) -> pa.ChunkedArray | None:
    text = pc.replace_substring(pc.replace_substring(cells, "T", " "), ",", ".")
    text = pc.replace_substring_regex(text, r" (\d):", r" 0\1:")
    has_zone = pc.match_substring_regex(text.drop_null(), _ZONE)
    if pc.all(has_zone).as_py():
        return _try_cast(pc.replace_substring_regex(text, r"([+-]\d{2}):?(\d{2})$", r"\1:\2"), pa.timestamp("us", "UTC"))
    return None if pc.any(has_zone).as_py() else _try_cast(text, pa.timestamp("us"))


def _padded(dates: pa.ChunkedArray) -> pa.ChunkedArray:
    for _ in range(2):  # the month and the day share a hyphen, so that one replacement finds only one of them
        dates = pc.replace_substring_regex(dates, r"-(\d)(-|$)", r"-0\1\2")
    return dates


def _all_match(cells: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern), min_count=0).as_py())


def _try_cast(cells: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    try:
        return cells.cast(kind)
    except pa.ArrowException:
        return None

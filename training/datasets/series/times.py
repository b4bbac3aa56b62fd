"""The times of series in long format: the step from one time to the next, and steps that the file does not have."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError

_REGULAR = 0.9  # share of equal differences of regular times
_MAX_INSERTED = 0.1  # of the rows; with more gaps, the rows are the steps
_MICROSECONDS = {
    "day": 86_400_000_000,
    "hour": 3_600_000_000,
    "minute": 60_000_000,
    "second": 1_000_000,
    "millisecond": 1000,
    "microsecond": 1,
}
_MONTH_DAYS = ((28, 31, "month"), (90, 92, "quarter"), (365, 366, "year"))


@dataclass(frozen=True)
class Step:
    """The time from one step of a series to the next.

    Attributes:
        size: In microseconds, or in the unit of a column of numbers.
        text: For people; None if the times say nothing, such as 0, 1, 2.
        is_regular: Whether at least nine of ten differences are equal.
        is_exact: Whether all differences are multiples of the size.
    """

    size: float
    text: str | None
    is_regular: bool
    is_exact: bool


def time_numbers(values: pa.ChunkedArray, name: str, path: str) -> NDArray[np.float64]:
    """Return times as numbers, float64[n]: microseconds of dates and times, or the numbers themselves.

    Args:
        values: The column.
        name: Its name.
        path: The file, for error messages.

    Raises:
        DataError: A time is missing, infinite or out of range, or the column has no times and no numbers.
    """
    if values.null_count:
        row = pc.index(pc.is_null(values), True).as_py()
        message = f"the time in column {quoted(name)}, row {row + 1} of {path} is missing: fill it, or remove the row"
        raise DataError(message, field="data.time", reason="missing_value")
    kind = values.type
    if pa.types.is_timestamp(kind):
        # Nanoseconds lose their last digits. Other units must not overflow.
        values = _cast(values, pa.timestamp("us", kind.tz), name, path, kind.unit != "ns").cast(pa.int64())
    elif pa.types.is_date(kind):
        values = pc.multiply(values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()), _MICROSECONDS["day"])
    elif pa.types.is_time(kind):
        values = values.cast(pa.time64("us"), safe=kind.unit != "ns").cast(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        message = f"column {quoted(name)} of {path} has type {kind}, and neither times nor numbers: name another column"
        raise DataError(message, field="data.time", reason="not_times")
    numbers: NDArray[np.float64] = values.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        message = f"the time in column {quoted(name)}, row {row + 1} of {path} is {numbers[row]}: correct it, or remove the row"
        raise DataError(message, field="data.time", reason="not_finite")
    return numbers


def _cast(values: pa.ChunkedArray, kind: pa.DataType, name: str, path: str, is_safe: bool) -> pa.ChunkedArray:
    try:
        return values.cast(kind, safe=is_safe)
    except pa.ArrowInvalid:
        message = f"column {quoted(name)} of {path} has times that are too far from 1970: correct them, or name another column"
        raise DataError(message, field="data.time", reason="out_of_range") from None


def find_step(times: list[NDArray[np.float64]], is_temporal: bool, unit: str | None) -> Step | None:
    """Return the step of ascending times; None if no series has two times.

    Args:
        times: float64[length] of each series.
        is_temporal: Whether the numbers are microseconds.
        unit: Unit of a column of numbers, or None.
    """
    differences = np.concatenate([np.diff(each) for each in times]) if times else np.empty(0)
    if not len(differences):
        return None
    rounded = np.array([float(f"{each:.9g}") for each in differences.tolist()])
    size, count = Counter(rounded.tolist()).most_common(1)[0]
    if is_temporal:
        days = rounded / _MICROSECONDS["day"]
        for low, high, name in _MONTH_DAYS:
            if low <= days.min() and days.max() <= high and days.max() > days.min():
                return Step(size, f"1 {name}", True, False)
    ratio = rounded / size if size else np.zeros(1)
    is_exact = bool(size > 0 and np.allclose(ratio, np.rint(ratio), atol=1e-4) and (np.rint(ratio) >= 1).all())
    text = _duration(size) if is_temporal else None if unit is None and size == 1 else f"{size:g}{f' {unit}' if unit else ''}"
    return Step(size, text, count >= _REGULAR * len(rounded), is_exact)


def fill_gaps(
    times: NDArray[np.float64], values: NDArray[np.float64], rows: NDArray[np.int64], size: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the values and rows of one series with a step, without values and with row 0, for each time that is not there.

    Args:
        times: float64[length], ascending, whose differences are multiples of the step.
        values: float64[length, channels].
        rows: int64[length].
        size: The step.
    """
    places = np.concatenate([[0], np.rint(np.diff(times) / size).astype(np.int64).cumsum()])
    filled = np.full((int(places[-1]) + 1, values.shape[1]), np.nan)
    numbers = np.zeros(len(filled), np.int64)
    filled[places], numbers[places] = values, rows
    return filled, numbers


def num_missing_steps(times: list[NDArray[np.float64]], step: Step) -> int | None:
    """Return how many steps are to be inserted; None if the times have no regular step or too many gaps.

    Args:
        times: float64[length] of each series, ascending.
        step: Their step.
    """
    if not step.is_exact:
        return None
    # Each difference is rounded alone: the sum of many small deviations is no step.
    missing = sum(int((np.rint(np.diff(each) / step.size) - 1).sum()) for each in times)
    return missing if missing <= _MAX_INSERTED * sum(map(len, times)) else None


def _duration(microseconds: float) -> str | None:
    for name, size in _MICROSECONDS.items():
        count = microseconds / size
        if count >= 1:
            return f"{count:g} {name}{'' if count == 1 else 's'}"
    return None

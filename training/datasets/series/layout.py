"""Finds how a table holds series: long (one row for each step), wide (one row for each series), or lists (of Parquet)."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.series.times import find_step, time_numbers
from seedmint.training.datasets.tables.typed import is_string
from seedmint.training.recipes.data import Data

Kind = Literal["long", "wide", "lists"]

_MIN_STEPS = 8  # of a series that is recognised
_MIN_WIDE = 16  # columns of a wide table that is recognised
_MIN_CORRELATION = 0.5  # between neighboring columns without names
_TIME_NAMES = ("time", "timestamp", "date", "datetime", "ds", "t", "step", "timestep", "time_step", "tick", "hour", "day")
_ID_NAMES = ("id", "series", "series_id", "unique_id", "sequence", "sequence_id", "item_id", "sample", "subject", "sensor")


@dataclass(frozen=True)
class Layout:
    """How a table holds series.

    Attributes:
        kind: `long`, `wide` or `lists`.
        id: Long: the column that names the series; None for a single series.
        time: Long: the column of times; None if the rows are in order.
    """

    kind: Kind
    id: str | None = None
    time: str | None = None


def find_layout(table: pa.Table, data: Data) -> Layout | None:
    """Return the layout that the recipe sets, or that is recognised; None if the table does not look like series.

    Args:
        table: The table.
        data: The section `data` of a recipe.

    Raises:
        DataError: A column that the recipe names does not exist, or two columns have the same name.
    """
    for field, name in (("data.id", data.id), ("data.time", data.time), ("data.label", data.series_label)):
        if name is not None and table.column_names.count(name) != 1:
            message = f"column {name!r} of {data.path} does not exist; the columns are {', '.join(table.column_names[:40])}"
            raise DataError(message, field=field, reason="no_such_column")
    if data.layout == "wide":
        return Layout("wide")
    if data.id is not None or data.time is not None or data.layout == "long":
        return Layout("long", data.id, data.time or _time_column(table, data, data.id))
    twice = next((name for name, count in Counter(table.column_names).items() if count > 1), None)
    if twice is not None:
        message = f"column {quoted(twice)} of {data.path} occurs twice: rename one of them"
        raise DataError(message, field="data.path", reason="duplicate_column")
    names = [name for name in table.column_names if name != data.series_label]
    if any(is_number_list(table[name].type) for name in names):
        return Layout("lists")
    return _long(table, data) or (Layout("wide") if _is_wide(table, names) else None)


def is_number(kind: pa.DataType) -> bool:
    """Return whether a type holds numbers, or booleans, which count as 0 and 1.

    Args:
        kind: The type of a column.
    """
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind))


def is_number_list(kind: pa.DataType) -> bool:
    """Return whether a type holds lists of numbers.

    Args:
        kind: The type of a column.
    """
    types = pa.types
    is_list: bool = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_list and is_number(kind.value_type)


def _long(table: pa.Table, data: Data) -> Layout | None:
    """Return the long layout if times ascend by regular steps, in the whole table or for each value of a column."""
    unused = {data.series_label, *(data.columns or ())}
    times = [name for name in table.column_names if name not in unused and _may_be_time(table, name)]
    has_channel = any(is_number(table[name].type) for name in table.column_names if name not in times)
    if table.num_rows < _MIN_STEPS or not has_channel:
        return None
    for time in times:
        numbers = time_numbers(table[time], time, str(data.path))
        if _is_regular([numbers]):
            return Layout("long", None, time)
        for name in _id_columns(table, time, unused):
            if _is_regular(group_rows(table[name], numbers)):
                return Layout("long", name, time)
    return None


def _time_column(table: pa.Table, data: Data, series: str | None) -> str | None:
    """Return the column of times of a long table without `data.time`, or None if the rows are in order."""
    candidates = [
        name
        for name in table.column_names
        if name not in (series, data.series_label, *(data.columns or ())) and _may_be_time(table, name)
    ]
    return candidates[0] if candidates else None


def _may_be_time(table: pa.Table, name: str) -> bool:
    if len(table.schema.get_all_field_indices(name)) != 1:
        return False
    kind = table[name].type
    if table[name].null_count or pa.types.is_boolean(kind):
        return False
    return pa.types.is_date(kind) or pa.types.is_timestamp(kind) or (name.lower() in _TIME_NAMES and is_number(kind))


def _id_columns(table: pa.Table, time: str, unused: set[str | None]) -> Sequence[str]:
    """Return the columns that can name series, the likeliest first."""
    found = []
    for name in table.column_names:
        kind = table[name].type
        if name == time or name in unused or table[name].null_count or not (is_string(kind) or pa.types.is_integer(kind)):
            continue
        different = pc.count_distinct(table[name]).as_py()
        if 2 <= different <= table.num_rows // _MIN_STEPS:
            found.append((name.lower() not in _ID_NAMES, not is_string(kind), name))
    return [name for *_, name in sorted(found)]


def group_rows(ids: pa.ChunkedArray, numbers: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the numbers of each series, ascending.

    Args:
        ids: Names of the series.
        numbers: float64[n].
    """
    codes = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((numbers, codes))
    return np.split(numbers[order], np.flatnonzero(np.diff(codes[order])) + 1)


def _is_regular(times: list[NDArray[np.float64]]) -> bool:
    lengths = np.array([len(each) for each in times])
    if np.median(lengths) < _MIN_STEPS or any((np.diff(each) <= 0).any() for each in times):
        return False
    step = find_step(times, True, None)
    return step is not None and step.is_regular


def _is_wide(table: pa.Table, names: list[str]) -> bool:
    """Return whether the numbers of each row are a series, by the names of the columns or by their correlations."""
    numeric = [name for name in names if is_number(table[name].type) or pa.types.is_null(table[name].type)]
    if len(numeric) < _MIN_WIDE or len(numeric) < len(names) - 1 or table.num_rows < 2:
        return False
    matches = [re.fullmatch(r"(.*?)(\d+)", name) for name in numeric]
    parts = [(match[1], int(match[2])) for match in matches if match is not None]
    is_counted = len(parts) == len(numeric) and len({prefix for prefix, _ in parts}) == 1
    if not is_counted or (np.diff([number for _, number in parts]) != 1).any():
        return False
    if parts[0][0] != "column_":
        return True
    values = np.stack([table[name].cast(pa.float64()).to_numpy() for name in numeric], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        centered = values - np.nanmean(values, axis=0)
        scaled = centered / np.nanstd(values, axis=0)
        neighbors = np.nanmean(scaled[:, 1:] * scaled[:, :-1])
    return bool(neighbors > _MIN_CORRELATION)

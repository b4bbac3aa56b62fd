"""Reads series from a table: in long format, in wide format, or from lists of Parquet."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.series.layout import Layout, is_number, is_number_list
from seedmint.training.datasets.series.raw import OneSeries, RawSeries
from seedmint.training.datasets.series.times import fill_gaps, find_step, num_missing_steps, time_numbers
from seedmint.training.datasets.tables.typed import type_labels
from seedmint.training.recipes.data import Data


def series_of_table(table: pa.Table, layout: Layout, data: Data, path: str) -> RawSeries:
    """Return the series of a table.

    Args:
        table: The table.
        layout: How the table holds series.
        data: The section `data` of a recipe.
        path: The file, for error messages.

    Raises:
        DataError: A column or a value is wrong. The message names the column and the row, from 1.
    """
    _check_columns(table, table.column_names if data.columns is None else data.columns, path)
    if not table.num_rows:
        raise DataError(f"{path} has no rows", field="data.path", reason="empty_table")
    if layout.kind == "long":
        return _long(table, layout, data, path)
    return _wide(table, data, path) if layout.kind == "wide" else _lists(table, data, path)


def channel_numbers(column: pa.ChunkedArray, name: str, path: str) -> NDArray[np.float64]:
    """Return the numbers of a column, float64[n], NaN where a value is missing.

    Args:
        column: The column.
        name: Its name.
        path: The file, for error messages.

    Raises:
        DataError: The column has other values than finite numbers.
    """
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if not is_number(kind):
        found = f"type {kind}, row 1"
        if pa.types.is_string(kind):
            is_wrong = pc.invert(pc.match_substring_regex(pc.utf8_trim_whitespace(column), r"^[+-]?[\d.,]+([eE][+-]?\d+)?$"))
            row = pc.index(is_wrong, True).as_py()
            found = f"{quoted(str(column[max(row, 0)].as_py()))} in row {max(row, 0) + 1}"
        message = f"column {quoted(name)} of {path} has {found}, which is not a number: correct it, or choose data.columns"
        raise DataError(message, field="data.columns", reason="not_numeric")
    values: NDArray[np.float64] = pc.cast(column, pa.float64(), safe=False).to_numpy().astype(np.float64)
    with np.errstate(over="ignore"):
        is_infinite = np.isinf(values.astype(np.float32))
    if is_infinite.any():
        row = int(np.flatnonzero(is_infinite)[0])
        message = f"{values[row]:g} in column {quoted(name)}, row {row + 1} of {path} is not finite in float32; correct the row"
        raise DataError(message, field="data.columns", reason="not_finite")
    return values


def _long(table: pa.Table, layout: Layout, data: Data, path: str) -> RawSeries:
    used = [name for name in (layout.id, layout.time, data.series_label) if name is not None]
    names, notes = _channels(table, data, path, used)
    values = np.stack([channel_numbers(table[name], name, path) for name in names], axis=1)
    ids, codes = _series_codes(table, layout.id, path)
    rows = np.arange(1, len(values) + 1)
    times = np.arange(len(values), dtype=np.float64)
    if layout.time is not None:
        times = time_numbers(table[layout.time], layout.time, path)
    order = np.lexsort((times, codes))
    if layout.time is not None:
        notes.append(
            f"time: column {quoted(layout.time)}" + ("" if (np.diff(order) == 1).all() else ", by which the rows are sorted")
        )
        _check_distinct(times[order], codes[order], rows[order], layout.time, path)
    if layout.id is not None:
        notes.append(f"series: column {quoted(layout.id)}, {len(ids):,} different values")
    labels, classes = _labels(table, data, path, codes, ids)
    bounds = np.flatnonzero(np.diff(codes[order])) + 1
    own_times, own_values = np.split(times[order], bounds), np.split(values[order], bounds)
    own_rows = np.split(rows[order], bounds)
    step = None
    if layout.time is not None:
        kind = table[layout.time].type
        step = find_step(own_times, pa.types.is_temporal(kind), (data.units or {}).get(layout.time))
    missing = None if step is None else num_missing_steps(own_times, step)
    if step is not None and missing:
        notes.append(f"{missing:,} steps of {step.text or f'{step.size:g}'} have no row: their values are missing")
        for i, each in enumerate(own_times):
            own_values[i], own_rows[i] = fill_gaps(each, own_values[i], own_rows[i], step.size)
    elif step is not None and missing is None and not step.is_regular:
        notes.append("the times have no regular step: each row is one step")
    series = [
        OneSeries(str(ids[code]), part, path, own, labels[code])
        for code, part, own in zip(sorted(set(codes.tolist())), own_values, own_rows, strict=True)
    ]
    text = None if step is None or not step.is_regular else step.text
    return RawSeries(series, tuple(names), classes, text, tuple(notes), layout)


def _channels(table: pa.Table, data: Data, path: str, used: list[str]) -> tuple[list[str], list[str]]:
    """Return the names of the channels, and notes about columns that are left out."""
    if data.columns is not None:
        return list(data.columns), []
    others = [name for name in table.column_names if name not in used]
    names = [name for name in others if is_number(table[name].type)]
    notes = [
        f"left out: column {quoted(name)} with values of type {table[name].type} (data.id or data.label can name it)"
        for name in others
        if name not in names
    ]
    if not names:
        raise DataError(f"{path} has no columns of numbers to learn", field="data.path", reason="empty_table")
    return names, notes


def _check_columns(table: pa.Table, names: list[str], path: str) -> None:
    """Refuse columns that do not exist, or occur twice in the table or in the list."""
    existing, chosen = Counter(table.column_names), Counter(names)
    for name in names:
        if existing[name] != 1:
            problem = "occurs twice" if name in existing else "does not exist"
            message = f"column {quoted(name)} of {path} {problem}; the columns are {', '.join(table.column_names[:40])}"
            raise DataError(message, field="data.columns", reason="no_such_column")
        if chosen[name] > 1:
            raise DataError(f"column {quoted(name)} is chosen twice", field="data.columns", reason="duplicate_column")


def _series_codes(table: pa.Table, name: str | None, path: str) -> tuple[list[object], NDArray[np.int64]]:
    """Return the names of the series, in the order of their first rows, and the number of the series of each row."""
    if name is None:
        return [""], np.zeros(table.num_rows, np.int64)
    if table[name].null_count:
        row = pc.index(pc.is_null(table[name]), True).as_py()
        message = f"the series in column {quoted(name)}, row {row + 1} of {path} is missing: fill it, or remove the row"
        raise DataError(message, field="data.id", reason="missing_value")
    encoded = table[name].combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _check_distinct(
    times: NDArray[np.float64], codes: NDArray[np.int64], rows: NDArray[np.int64], name: str, path: str
) -> None:
    repeated = np.flatnonzero((np.diff(times) == 0) & (np.diff(codes) == 0))
    if len(repeated):
        a, b = sorted(rows[repeated[0] : repeated[0] + 2].tolist())
        message = (
            f"rows {a} and {b} of {path} have the same time in column {quoted(name)}: remove one of them, or set data.id to "
            "the column that names the series"
        )
        raise DataError(message, field="data.time", reason="duplicate_time")


def _labels(
    table: pa.Table, data: Data, path: str, codes: NDArray[np.int64], ids: list[object]
) -> tuple[list[int], tuple[str, ...] | None]:
    """Return the label of each series, and the names of the classes."""
    name = data.series_label
    if name is None:
        return [-1] * len(ids), None
    _, labels, classes = type_labels(table[name], name, path, 0)
    found = np.full(len(ids), -1)
    found[codes] = labels
    wrong = np.flatnonzero(found[codes] != labels)
    if len(wrong):
        row = int(wrong[0])
        message = (
            f"column {quoted(name)}, row {row + 1} of {path} has another label than other rows of series "
            f"{quoted(str(ids[codes[row]]))}: each series needs one label"
        )
        raise DataError(message, field="data.label", reason="wrong_labels")
    return found.tolist(), classes


def _row_labels(table: pa.Table, data: Data, path: str) -> tuple[list[int], tuple[str, ...] | None]:
    name = data.series_label
    if name is None:
        return [-1] * table.num_rows, None
    _, labels, classes = type_labels(table[name], name, path, 0)
    return labels.tolist(), classes


def _wide(table: pa.Table, data: Data, path: str) -> RawSeries:
    others = [name for name in table.column_names if name != data.series_label]
    names = list(data.columns) if data.columns is not None else others
    if len(names) < 2:
        message = f"{path} has {len(names)} column: a series is a row of at least two numbers"
        raise DataError(message, field="data.path", reason="empty_table")
    notes = [f"one series in each row, {len(names)} steps: {quoted(names[0])} to {quoted(names[-1])}"]
    values = np.stack([channel_numbers(table[name], name, path) for name in names], axis=1)
    labels, classes = _row_labels(table, data, path)
    series = [
        OneSeries(f"row {i + 1}", row[:, None], path, None, label)
        for i, (row, label) in enumerate(zip(values, labels, strict=True))
    ]
    return RawSeries(series, ("x",), classes, None, tuple(notes))


def _lists(table: pa.Table, data: Data, path: str) -> RawSeries:
    others = [name for name in table.column_names if name != data.series_label]
    names = list(data.columns) if data.columns is not None else [n for n in others if is_number_list(table[n].type)]
    wrong = next((name for name in names if not is_number_list(table[name].type)), None)
    if wrong is not None:
        message = f"column {quoted(wrong)} of {path} has type {table[wrong].type}, and other columns have lists of numbers"
        raise DataError(message, field="data.columns", reason="not_numeric")
    left_out = [name for name in others if name not in names]
    notes = ["one series in each row, in lists"]
    notes += [f"left out: column {quoted(name)}, which has no lists of numbers" for name in left_out]
    parts = []
    for name in names:
        flat = channel_numbers(pa.chunked_array([pc.list_flatten(table[name])]), name, path)
        lengths = pc.fill_null(pc.list_value_length(table[name]), 0).to_numpy()
        parts.append((lengths, np.split(flat, np.cumsum(lengths)[:-1])))
    for name, (lengths, _) in zip(names[1:], parts[1:], strict=True):
        if (lengths != parts[0][0]).any():
            row = int(np.flatnonzero(lengths != parts[0][0])[0])
            message = f"the lists of {quoted(names[0])} and {quoted(name)} in row {row + 1} of {path} have different lengths"
            raise DataError(message, field="data.columns", reason="wrong_array")
    labels, classes = _row_labels(table, data, path)
    series = [
        OneSeries(f"row {i + 1}", np.stack([lists[i] for _, lists in parts], axis=1), path, None, labels[i])
        for i in range(table.num_rows)
    ]
    return RawSeries(series, tuple(names), classes, None, tuple(notes))

"""A table of numbers, in a CSV file with a line of names or in a Parquet file; a column may hold labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from seedmint.models.card import MAX_CLASSES
from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError, Dataset


def load_table(path: str, columns: list[str] | None, label: str | None, licence: str | None) -> Dataset:
    """The rows of a table, as float32[n, columns].

    Args:
        path: a file ending in .csv or .parquet.
        columns: which, in this order; None takes all but the label's.
        label: the column of labels, text or whole numbers; None: there is none.
        licence: for the card.

    Raises:
        DataError: no such file or column, or a value that is missing or no number, naming file, column and row (from 1).
    """
    table = _read(path)
    chosen = [name for name in table.column_names if name != label] if columns is None else columns
    for name in (*chosen, *([] if label is None else [label])):
        if table.column_names.count(name) != 1:
            there = ", ".join(table.column_names)
            times = "twice" if name in table.column_names else "not"
            raise DataError(f"{path}: column {quoted(name)} is there {times}; the columns are {there}")
    if not chosen or not table.num_rows:
        raise DataError(f"{path} holds {table.num_rows} rows of {len(chosen)} columns: nothing to learn")
    values = np.stack([numbers_of(table[name], path, name) for name in chosen], axis=1)
    labels, classes = (None, None) if label is None else _labels(table[label], path, label)
    return Dataset(Path(path).stem, values, labels, classes, licence, tuple(chosen))


def numbers_of(column: pa.ChunkedArray, path: str, name: str) -> NDArray[np.float32]:
    """The numbers of one column, float32[n].

    Raises:
        DataError: one is missing, infinite, or no number.
    """
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        found = next((i for i, value in enumerate(column.to_pylist()) if not _is_number(value)), None)
        if found is None or not pa.types.is_string(kind):
            raise DataError(f"{path}: column {quoted(name)} is of type {kind}, not of numbers; choose others by data.columns")
        value = quoted(str(column[found]))
        raise DataError(f"{path}: column {quoted(name)}, row {found + 1}: {value} is no number; choose others by data.columns")
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = column.cast(pa.float64()).to_numpy().astype(np.float32)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        value = column[row].as_py()
        what = "the value is missing" if value is None else f"{value} is not finite in float32"
        raise DataError(f"{path}: column {quoted(name)}, row {row + 1}: {what}")
    return values


def _read(path: str) -> pa.Table:
    readers = {".csv": csv.read_csv, ".parquet": parquet.read_table}
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise DataError(f"data.path: {path} must end in {' or '.join(readers)}")
    try:
        return readers[suffix](path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"data.path: {path} cannot be read: {str(error).splitlines()[0]}") from None


def _labels(column: pa.ChunkedArray, path: str, name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DataError(f"{path}: label column {quoted(name)} is of type {column.type}: labels are text or whole numbers")
    values = column.to_pylist()
    if None in values:
        raise DataError(f"{path}: label column {quoted(name)}, row {values.index(None) + 1}: the label is missing")
    classes = sorted(set(values))
    if len(classes) > MAX_CLASSES:
        raise DataError(f"{path}: label column {quoted(name)} has {len(classes)} labels, and {MAX_CLASSES} is the limit")
    number = {value: i for i, value in enumerate(classes)}
    return np.array([number[value] for value in values], np.int64), tuple(str(value) for value in classes)


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True

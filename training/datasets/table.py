"""Reads a table of numbers from a CSV file with a header, or from a Parquet file. One column can hold labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from seedmint.models.card import MAX_CLASSES
from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError, Dataset


def load_table(path: str, columns: list[str] | None, label: str | None, licence: str | None) -> Dataset:
    """Return the rows of a table as float32[n, columns].

    Args:
        path: A file ending in .csv or .parquet.
        columns: Names of the columns, in this order; None takes all columns except the label.
        label: Name of the column of labels, text or integers; None without labels.
        licence: Licence of the data, for the card.

    Raises:
        DataError: The file or a column does not exist, or a value is missing or not a number. The message names the file, the
            column and the row, from 1.
    """
    table = _read(path)
    chosen = [name for name in table.column_names if name != label] if columns is None else columns
    for name in (*chosen, *([] if label is None else [label])):
        if table.column_names.count(name) != 1:
            problem = "occurs twice" if name in table.column_names else "does not exist"
            raise DataError(
                f"column {quoted(name)} of {path} {problem}; the columns are {', '.join(table.column_names)}",
                field="data.label" if name == label else "data.columns",
                reason="no_such_column",
            )
    if not chosen or not table.num_rows:
        raise DataError(f"{path} has {table.num_rows} rows and {len(chosen)} numeric columns", reason="empty_table")
    values = np.stack([numeric_column(table[name], path, name) for name in chosen], axis=1)
    labels, classes = (None, None) if label is None else _labels(table[label], path, label)
    return Dataset(Path(path).stem, values, labels, classes, licence, tuple(chosen))


def numeric_column(column: pa.ChunkedArray, path: str, name: str) -> NDArray[np.float32]:
    """Return the numbers of one column, float32[n].

    Args:
        column: The column.
        path: The file, for error messages.
        name: Name of the column, for error messages.

    Raises:
        DataError: A value is missing, infinite, or not a number.
    """
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        row = next((i for i, value in enumerate(column.to_pylist()) if not _is_number(value)), None)
        if row is None or not pa.types.is_string(kind):
            message = f"column {quoted(name)} of {path} has type {kind} and is not numeric; choose other columns"
        else:
            value = quoted(str(column[row]))
            message = f"{value} in column {quoted(name)}, row {row + 1} of {path} is not a number; choose other columns"
        raise DataError(message, field="data.columns", reason="not_numeric")
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = column.cast(pa.float64()).to_numpy().astype(np.float32)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        value = column[row].as_py()
        problem = "the value is missing" if value is None else f"{value} is not finite in float32"
        reason = "missing_value" if value is None else "not_finite"
        raise DataError(f"column {quoted(name)}, row {row + 1} of {path}: {problem}", reason=reason)
    return values


def _read(path: str) -> pa.Table:
    readers = {".csv": csv.read_csv, ".parquet": parquet.read_table}
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise DataError(f"{path} must end in {' or '.join(readers)}", field="data.path", reason="unknown_suffix")
    try:
        return readers[suffix](path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not readable: {str(error).splitlines()[0]}", field="data.path", reason="unreadable"
        ) from None


def _labels(column: pa.ChunkedArray, path: str, name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DataError(
            f"label column {quoted(name)} of {path} has type {column.type}; labels must be text or integers",
            field="data.label",
            reason="wrong_labels",
        )
    values = column.to_pylist()
    if None in values:
        raise DataError(
            f"the label in column {quoted(name)}, row {values.index(None) + 1} of {path} is missing",
            field="data.label",
            reason="missing_value",
        )
    classes = sorted(set(values))
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"label column {quoted(name)} of {path} has {len(classes)} different labels; at most {MAX_CLASSES} are allowed",
            field="data.label",
            reason="too_many_classes",
        )
    number = {value: i for i, value in enumerate(classes)}
    return np.array([number[value] for value in values], np.int64), tuple(str(value) for value in classes)


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True

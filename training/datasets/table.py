"""Reads a table from a CSV or Parquet file, with the types of its columns. Some columns can hold labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from seedmint.models.columns import KEY_NAMES, LabelColumn
from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError, Dataset, TableColumns
from seedmint.training.datasets.read_once import remembered
from seedmint.training.datasets.tables.cells import NumberMarks, typed_column
from seedmint.training.datasets.tables.dialect import Dialect, read_cells
from seedmint.training.datasets.tables.typed import join_labels, type_column, type_labels
from seedmint.training.recipes.data import Data

_INDEX_NAMES = ("", "index", "id", "row", "nr", "no", "unnamed: 0", "__index_level_0__")
_CSV_SUFFIXES = (".csv", ".tsv", ".txt")
_FILE_FIELDS = {"path", "columns", "label", "encoding", "delimiter", "decimal", "thousands", "header"}  # of `read_table`


def load_table(data: Data) -> Dataset:
    """Return the rows of a table as codes, float32[n, columns]; see `seedmint.models.columns`.

    Args:
        data: The section `data` of a recipe, with source `table`.

    Raises:
        DataError: The file or a column does not exist, or a column has values that cannot be learned. The message names the
            file, the column and, if possible, the row, from 1.
    """
    path = str(data.path)
    table, notes = read_table(data)
    chosen = choose_columns(table, data)
    if not chosen or not table.num_rows:
        raise DataError(f"{path} has {table.num_rows} rows and {len(chosen)} columns to learn", reason="empty_table")
    units = data.units or {}
    typed = [type_column(table[name], name, path, units.get(name)) for name in chosen]
    label_columns, labels, classes = _load_labels(table, data, chosen) if data.labels else ((), None, None)
    notes = (*notes, *(each.note for each in typed if each.note is not None))
    columns = TableColumns(tuple(each.column for each in typed), label_columns, notes)
    values = np.stack([each.codes for each in typed], axis=1).astype(np.float32)
    return Dataset(Path(path).stem, values, labels, classes, data.licence, tuple(chosen), None, columns)


def _load_labels(
    table: pa.Table, data: Data, chosen: list[str]
) -> tuple[tuple[LabelColumn, ...], NDArray[np.int64], tuple[str, ...]]:
    """Return the columns of labels, the label of each row, int64[n], and the names of the classes."""
    names = table.column_names if data.columns is None else [*chosen, *data.labels]
    shown = [name for name in names if name in chosen or name in data.labels]
    found = [type_labels(table[name], name, str(data.path), shown.index(name)) for name in data.labels]
    if len(found) == 1:
        column, labels, classes = found[0]
        return (column,), labels, classes
    return join_labels(found, str(data.path))


def choose_columns(table: pa.Table, data: Data) -> list[str]:
    """Return the names of the columns to learn: those of the recipe, or all except the labels.

    Args:
        table: The table.
        data: The section `data` of a recipe.

    Raises:
        DataError: A column does not exist, occurs twice, or has a reserved name.
    """
    chosen = [name for name in table.column_names if name not in data.labels] if data.columns is None else data.columns
    known = {*table.column_names}
    for name in data.units or {}:
        if name not in known:
            message = f"column {quoted(name)} of {data.path} does not exist; the columns are {', '.join(table.column_names)}"
            raise DataError(message, field="data.units", reason="no_such_column")
    twice = next((name for name in chosen if name in data.labels or chosen.count(name) > 1), None)
    if twice is not None and table.column_names.count(twice) == 1:
        message = f"column {quoted(twice)} is chosen twice: name it once, in data.columns or in data.label"
        raise DataError(message, field="data.columns", reason="duplicate_column")
    for name in (*chosen, *data.labels):
        field = "data.label" if name in data.labels else "data.columns"
        if table.column_names.count(name) != 1:
            problem = "occurs twice" if name in table.column_names else "does not exist"
            raise DataError(
                f"column {quoted(name)} of {data.path} {problem}; the columns are {', '.join(table.column_names)}",
                field=field,
                reason="no_such_column",
            )
        if name in KEY_NAMES:
            message = f"rename column {quoted(name)} of {data.path}: generated files have a column {name} of their own"
            raise DataError(message, field=field, reason="reserved_name")
    return list(chosen)


def read_table(data: Data, keep: tuple[str | None, ...] = ()) -> tuple[pa.Table, tuple[str, ...]]:
    """Return the whole file without an index column, and notes about the file. Within `read_once`, it is read once.

    Args:
        data: The section `data` of a recipe.
        keep: Further columns that are needed, besides those to learn and the label.

    Raises:
        DataError: The file cannot be read, or is not a table.
    """
    further = tuple(name for name in keep if name is not None)
    return remembered("table", (data.model_dump(include=_FILE_FIELDS), further), lambda: _read_table(data, further))


def _read_table(data: Data, keep: tuple[str, ...]) -> tuple[pa.Table, tuple[str, ...]]:
    path, suffix = str(data.path), Path(str(data.path)).suffix.lower()
    notes: tuple[str, ...] = ()
    if suffix == ".parquet":
        try:
            names = parquet.read_schema(path).names if Path(path).is_file() else []
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                message = f"column {quoted(twice)} of {path} occurs twice: rename one of them"
                raise DataError(message, field="data.path", reason="duplicate_column")
            table = parquet.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{path} is not readable: {str(error).splitlines()[0]}", field="data.path", reason="unreadable"
            ) from None
    elif suffix in _CSV_SUFFIXES:
        table, notes = _read_csv(data, keep)
    else:
        message = f"{path} must end in {', '.join(_CSV_SUFFIXES)} or .parquet"
        raise DataError(message, field="data.path", reason="unknown_suffix")
    wanted = {*(data.columns or ()), *data.labels, *keep}
    index = next((name for name in table.column_names[:1] + table.column_names[-1:] if _is_index(table, name)), None)
    if index is not None and index not in wanted:
        table = table.drop_columns([index])
        notes = (*notes, f"left out: {quoted(index)}, which numbers the rows (data.columns can name it)")
    return _with_names(table, notes)


def _with_names(table: pa.Table, notes: tuple[str, ...]) -> tuple[pa.Table, tuple[str, ...]]:
    """Return a table whose columns without a name are called column_1 and so on, by their place, and the notes."""
    if "" not in table.column_names:
        return table, notes
    names = [name or f"column_{i + 1}" for i, name in enumerate(table.column_names)]
    found = ", ".join(name for name, old in zip(names, table.column_names, strict=True) if not old)
    return table.rename_columns(names), (*notes, f"columns without a name are called {found}")


def _read_csv(data: Data, keep: tuple[str, ...]) -> tuple[pa.Table, tuple[str, ...]]:
    path = str(data.path)
    cells, notes = read_cells(path, Dialect(data.encoding, data.delimiter, data.header))
    needed = None if data.columns is None else {*data.columns, *data.labels, *keep}
    found, number_notes = [], []
    for i, name in enumerate(cells.column_names):
        values, note = _typed(cells[i], name, data) if needed is None or name in needed else (cells[i], None)
        found.append(values)
        number_notes += [] if note is None else [note]
    return pa.Table.from_arrays(found, cells.column_names), (*notes, *number_notes)


def _typed(cells: pa.ChunkedArray, name: str, data: Data) -> tuple[pa.ChunkedArray, str | None]:
    try:
        return typed_column(cells, name, str(data.path), NumberMarks(data.decimal, data.thousands))
    except DataError as error:
        field = "data.label" if name in data.labels else error.field
        raise DataError(str(error), field=field, reason=error.reason) from None


def _is_index(table: pa.Table, name: str) -> bool:
    """Return whether a column numbers the rows: by its name, and by its values, which rise by 1 from row to row."""
    if name.lower() not in _INDEX_NAMES or table.column_names.count(name) != 1 or table.num_columns == 1:
        return False
    column = table[name]
    if not pa.types.is_integer(column.type) or column.null_count or not len(column):
        return False
    values = column.to_numpy()
    return bool((np.diff(values) == 1).all())

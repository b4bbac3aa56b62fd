"""Reads series from a file or a folder. In a folder, each file is one series, and the name of its folder is its class."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.series.arrays import default_names, first_infinite, read_npy, series_of_arrays
from seedmint.training.datasets.series.layout import Layout, find_layout, is_number
from seedmint.training.datasets.series.raw import OneSeries, RawSeries
from seedmint.training.datasets.series.tables import series_of_table
from seedmint.training.datasets.table import read_table
from seedmint.training.recipes.data import Data

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
ARRAY_SUFFIXES = (".npz", ".npy")
_FOLDER_SUFFIXES = (".csv", ".tsv", ".parquet", ".npy")  # .txt files of a folder describe the data


def read_series(data: Data) -> RawSeries:
    """Return the series of a path as they stand in its files.

    Args:
        data: The section `data` of a recipe, with source `series`.

    Raises:
        DataError: The path does not exist, or a file, a column or a value is wrong.
    """
    path = str(data.path)
    if Path(path).is_dir():
        return _read_folder(Path(path), data)
    suffix = Path(path).suffix.lower()
    if suffix in ARRAY_SUFFIXES:
        return series_of_arrays(path)
    if suffix not in TABLE_SUFFIXES:
        message = f"{path} must be a folder, or end in {', '.join((*TABLE_SUFFIXES, *ARRAY_SUFFIXES))}"
        raise DataError(message, field="data.path", reason="unknown_suffix")
    table, notes = read_table(data, (data.id, data.time))
    layout = find_layout(table, data)
    if layout is None:
        layout = _unrecognised(table, data)
    found = series_of_table(table, layout, data, path)
    return replace(found, notes=(*notes, *found.notes))


def _unrecognised(table: pa.Table, data: Data) -> Layout:
    """Return the layout of a table without a column of times: the steps of one series with `data.window`, or else rows."""
    if data.window is not None or data.columns is not None:
        return Layout("long")
    wrong = [name for name in table.column_names if name != data.series_label and not is_number(table[name].type)]
    wrong = [name for name in wrong if not pa.types.is_null(table[name].type)]
    if wrong and len(wrong) < table.num_columns:
        message = (
            f"{data.path} has no column of times, and column {quoted(wrong[0])} has no numbers: set data.time (and data.id, "
            "the column that names the series), or data.layout=wide for one series in each row"
        )
        raise DataError(message, field="data.time", reason="unknown_layout")
    return Layout("wide")


def folder_files(folder: Path) -> list[Path]:
    """Return the files of a folder that can be series, sorted; hidden files are left out.

    Args:
        folder: The folder.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in _FOLDER_SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _read_folder(folder: Path, data: Data) -> RawSeries:
    paths = folder_files(folder)
    if not paths:
        message = f"{folder} has no files that end in {', '.join(_FOLDER_SUFFIXES)}"
        raise DataError(message, field="data.path", reason="no_series")
    if data.id is not None or data.labels:
        field = "data.id" if data.id is not None else "data.label"
        message = "each file of a folder is one series, and the name of its folder is its class"
        raise DataError(message, field=field, reason="not_applicable")
    tops = [path.relative_to(folder).parts[0] if path.parent != folder else "" for path in paths]
    classes = tuple(sorted(set(tops)))
    if "" in classes and len(classes) > 1:
        message = f"{paths[tops.index('')]} is in no subfolder, but other files are: put all files into folders, or none"
        raise DataError(message, field="data.path", reason="wrong_labels")
    found = [_read_file(path, data) for path in paths]
    first = found[0]
    for path, other in zip(paths[1:], found[1:], strict=True):
        if other.names != first.names:
            message = f"{path} has the channels {', '.join(other.names)}, but {paths[0]} has {', '.join(first.names)}"
            raise DataError(message, field="data.columns", reason="different_channels")
    labels = [classes.index(top) if classes != ("",) else -1 for top in tops]
    series = [
        replace(one, name=str(path.relative_to(folder)), label=label)
        for path, raw, label in zip(paths, found, labels, strict=True)
        for one in raw.series
    ]
    steps = {raw.step for raw in found}
    notes = (f"{len(paths):,} files, each of them one series", *first.notes)
    if len(steps) > 1:
        notes = (*notes, f"the files have different steps: {', '.join(sorted(str(step) for step in steps))}")
    return RawSeries(
        series, first.names, None if classes == ("",) else classes, first.step if len(steps) == 1 else None, notes, first.layout
    )


def _read_file(path: Path, data: Data) -> RawSeries:
    """Return the one series of a file."""
    if path.suffix.lower() == ".npy":
        array = read_npy(str(path))
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or not array.size:
            message = f"{path} must be numbers[length] or numbers[length, channels], not {array.dtype}{list(array.shape)}"
            raise DataError(message, field="data.path", reason="wrong_array")
        values = array.reshape(len(array), -1).astype(np.float64)
        wrong = first_infinite(values)
        if wrong is not None:
            message = f"row {wrong[0] + 1} of {path} is not finite in float32; correct it"
            raise DataError(message, field="data.path", reason="not_finite")
        rows = np.arange(1, len(values) + 1)
        return RawSeries([OneSeries("", values, str(path), rows)], default_names(values.shape[1]))
    own = data.model_copy(update={"path": str(path)})
    table, notes = read_table(own, (data.time,))
    layout = find_layout(table, own.model_copy(update={"layout": "long"}))
    assert layout is not None
    found = series_of_table(table, Layout("long", None, layout.time), own, str(path))
    return replace(found, notes=(*notes, *found.notes))

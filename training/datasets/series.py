"""Reads series of equal length from an .npz file, or from a CSV file without a header that has one series per line.

An .npz file holds `series`, float[n, length] or float[n, length, channels]; optionally `names` of the channels; optionally
`labels`, n integers; and optionally `classes`, an array of text with the name of each label.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError, Dataset
from seedmint.training.datasets.npz import labels_and_classes, read_arrays


def load_series(path: str, licence: str | None) -> Dataset:
    """Return all series of a file as float32[n, length, channels].

    Args:
        path: A file ending in .npz or .csv.
        licence: Licence of the data, for the card.

    Raises:
        DataError: The file does not exist, or an array or a value has the wrong type.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return _from_csv(path, licence)
    if suffix != ".npz":
        raise DataError(f"{path} must end in .npz or .csv", field="data.path", reason="unknown_suffix")
    arrays = read_arrays(path, ("series", "names", "labels", "classes"))
    if "series" not in arrays:
        raise DataError(f"{path} has no array named series", reason="no_array")
    series = arrays["series"]
    if series.dtype.kind not in "fiu" or series.ndim not in (2, 3):
        raise DataError(
            f"the series of {path} must be numbers[n, length] or numbers[n, length, channels], "
            f"not {series.dtype}{list(series.shape)}",
            reason="wrong_array",
        )
    series = series.astype(np.float32).reshape(*series.shape[:2], -1) if series.size else series.astype(np.float32)
    names = arrays.get("names", _default_names(series.shape[-1]))
    labels, classes = labels_and_classes(arrays, path)
    return Dataset(Path(path).stem, series, labels, classes, licence, tuple(str(name) for name in np.atleast_1d(names)))


def _from_csv(path: str, licence: str | None) -> Dataset:
    try:
        table = csv.read_csv(path, read_options=csv.ReadOptions(autogenerate_column_names=True))
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not readable: {str(error).splitlines()[0]}", field="data.path", reason="unreadable"
        ) from None
    columns = [_numeric_column(table[i], path, str(i + 1)) for i in range(table.num_columns)]
    return Dataset(Path(path).stem, np.stack(columns, axis=1)[:, :, None], None, None, licence, ("x",))


def _default_names(channels: int) -> tuple[str, ...]:
    return ("x",) if channels == 1 else tuple(f"x{i}" for i in range(channels))


def _numeric_column(column: pa.ChunkedArray, path: str, name: str) -> NDArray[np.float32]:
    """Return the numbers of one column, float32[n]."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        row = next((i for i, value in enumerate(column.to_pylist()) if not _is_number(value)), None)
        if row is None or not pa.types.is_string(kind):
            message = f"column {quoted(name)} of {path} has type {kind} and is not numeric; correct the file"
        else:
            value = quoted(str(column[row]))
            message = f"{value} in column {quoted(name)}, row {row + 1} of {path} is not a number; correct the file"
        raise DataError(message, field="data.path", reason="not_numeric")
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = column.cast(pa.float64()).to_numpy().astype(np.float32)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        value = column[row].as_py()
        problem = "the value is missing" if value is None else f"{value} is not finite in float32"
        reason = "missing_value" if value is None else "not_finite"
        raise DataError(f"column {quoted(name)}, row {row + 1} of {path}: {problem}", reason=reason)
    return values


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True

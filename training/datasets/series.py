"""Series of one length: an .npz file, or a CSV file with a series in each line and no line of names.

In the .npz: `series` float[n, length] or [n, length, channels], and if they are wanted `names` of the channels, `labels` of n
whole numbers and `classes`, text that names them.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from seedmint.training.datasets.dataset import DataError, Dataset
from seedmint.training.datasets.npz import labels_and_classes, read_arrays
from seedmint.training.datasets.table import numbers_of


def load_series(path: str, licence: str | None) -> Dataset:
    """All series of a file, as float32[n, length, channels].

    Raises:
        DataError: no such file, or arrays or values of the wrong kind, naming them.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return _from_csv(path, licence)
    if suffix != ".npz":
        raise DataError(f"data.path: {path} must end in .npz or .csv")
    arrays = read_arrays(path, ("series", "names", "labels", "classes"))
    if "series" not in arrays:
        raise DataError(f"{path} has no array named series")
    series = arrays["series"]
    if series.dtype.kind not in "fiu" or series.ndim not in (2, 3):
        raise DataError(
            f"{path}: series must be numbers[n, length] or [n, length, channels], not {series.dtype}{list(series.shape)}"
        )
    series = series.astype(np.float32).reshape(*series.shape[:2], -1) if series.size else series.astype(np.float32)
    names = arrays.get("names", _names(series.shape[-1]))
    labels, classes = labels_and_classes(arrays, path)
    return Dataset(Path(path).stem, series, labels, classes, licence, tuple(str(name) for name in np.atleast_1d(names)))


def _from_csv(path: str, licence: str | None) -> Dataset:
    try:
        table = csv.read_csv(path, read_options=csv.ReadOptions(autogenerate_column_names=True))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"data.path: {path} cannot be read: {str(error).splitlines()[0]}") from None
    columns = [numbers_of(table[i], path, str(i + 1)) for i in range(table.num_columns)]
    return Dataset(Path(path).stem, np.stack(columns, axis=1)[:, :, None], None, None, licence, ("x",))


def _names(channels: int) -> tuple[str, ...]:
    return ("x",) if channels == 1 else tuple(f"x{i}" for i in range(channels))

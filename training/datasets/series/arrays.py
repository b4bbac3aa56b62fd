"""Reads series from NumPy arrays.

An .npz file holds `series`, float[n, length] or float[n, length, channels]; optionally `lengths`, n integers, the steps of each
series; `names` of the channels; `labels`, n integers; and `classes`, an array of text with the name of each label. An
.npy file holds only the series. NaN is a missing value, and NaN up to the end of a series belongs to no step.
"""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.npz import labels_and_classes, read_arrays
from seedmint.training.datasets.series.raw import OneSeries, RawSeries


def series_of_arrays(path: str) -> RawSeries:
    """Return the series of an .npz or .npy file.

    Args:
        path: The file.

    Raises:
        DataError: The file does not exist, or an array has the wrong type or shape.
    """
    if path.lower().endswith(".npy"):
        arrays: dict[str, NDArray[Any]] = {"series": read_npy(path)}
    else:
        arrays = read_arrays(path, ("series", "lengths", "names", "labels", "classes"))
    if "series" not in arrays:
        raise DataError(f"{path} has no array named series", field="data.path", reason="no_array")
    series = arrays["series"]
    if series.dtype.kind not in "fiub" or series.ndim not in (2, 3) or not series.size:
        raise DataError(
            f"the series of {path} must be numbers[n, length] or numbers[n, length, channels], "
            f"not {series.dtype}{list(series.shape)}",
            field="data.path",
            reason="wrong_array",
        )
    values = series.reshape(*series.shape[:2], -1)
    names = tuple(str(name) for name in np.atleast_1d(arrays.get("names", default_names(values.shape[2]))))
    if len(names) != values.shape[2]:
        raise DataError(
            f"{path} has {len(names)} names for {values.shape[2]} channels", field="data.path", reason="wrong_array"
        )
    wrong = first_infinite(values)
    if wrong is not None:
        i, step, channel = wrong
        message = f"channel {names[channel]!r}, step {step + 1} of series {i + 1} of {path} is not finite in float32"
        raise DataError(message, field="data.path", reason="not_finite")
    lengths = _lengths(arrays, values.shape, path)
    labels, classes = labels_and_classes(arrays, path)
    if labels is not None and len(labels) != len(values):
        message = f"{path} has {len(labels)} labels for {len(values)} series"
        raise DataError(message, field="data.path", reason="wrong_labels")
    own = [-1] * len(values) if labels is None else labels.tolist()
    found = [
        OneSeries(f"series {i + 1}", values[i, :length].astype(np.float64), path, None, label)
        for i, (length, label) in enumerate(zip(lengths, own, strict=True))
    ]
    return RawSeries(found, names, classes)


def read_npy(path: str) -> NDArray[Any]:
    """Return the array of an .npy file. No pickle is loaded.

    Args:
        path: The file.

    Raises:
        DataError: The file does not exist, or is damaged.
    """
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is not a readable .npy file: {error}", field="data.path", reason="unreadable") from None
    return array


def holds_series(path: str) -> bool:
    """Return whether a NumPy file holds series: an array `series`, or an .npy file of floating-point numbers.

    Args:
        path: A local file.
    """
    try:
        if path.lower().endswith(".npy"):
            return bool(np.load(path, mmap_mode="r", allow_pickle=False).dtype.kind == "f")
        if not path.lower().endswith(".npz") or not Path(path).is_file():
            return False
        with np.load(path, allow_pickle=False) as file:
            return "series" in file.files
    except (OSError, ValueError, EOFError, BadZipFile):
        return False


def default_names(channels: int) -> tuple[str, ...]:
    """Return names for channels without names.

    Args:
        channels: Number of channels.
    """
    return ("x",) if channels == 1 else tuple(f"x{i}" for i in range(channels))


def first_infinite(values: NDArray[Any]) -> tuple[int, ...] | None:
    """Return the index of the first value that is infinite in float32; None if there is none.

    Args:
        values: Numbers of any shape.
    """
    with np.errstate(over="ignore"):
        found = np.argwhere(np.isinf(values.astype(np.float32)))
    return tuple(found[0].tolist()) if len(found) else None


def _lengths(arrays: dict[str, NDArray[Any]], shape: tuple[int, ...], path: str) -> list[int]:
    lengths = arrays.get("lengths")
    if lengths is None:
        return [shape[1]] * shape[0]
    is_wrong = lengths.dtype.kind not in "iu" or lengths.shape != shape[:1]
    if is_wrong or not 1 <= int(lengths.min()) <= int(lengths.max()) <= shape[1]:
        message = f"the lengths of {path} must be {shape[0]} integers from 1 to {shape[1]}"
        raise DataError(message, field="data.path", reason="wrong_array")
    found: list[int] = lengths.tolist()
    return found

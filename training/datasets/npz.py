"""Arrays of .npz files, with labels and the names of classes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import MAX_CLASSES
from seedmint.training.datasets.dataset import DataError


def read_arrays(path: str, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return the named arrays that an .npz file contains. No pickle is loaded.

    Args:
        path: The file.
        names: Names of the arrays.

    Raises:
        DataError: The file does not exist, or is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names if name in file}
    except Exception as error:  # numpy, zipfile and zlib raise different types for damaged files
        raise DataError(f"{path} is not a readable .npz file: {error}", field="data.path", reason="unreadable") from None


def labels_and_classes(
    arrays: dict[str, NDArray[Any]], path: str
) -> tuple[NDArray[np.int64], tuple[str, ...]] | tuple[None, None]:
    """Return the labels and their names.

    Args:
        arrays: The arrays of a file; the function reads `labels` and `classes`.
        path: The file, for error messages.

    Returns:
        int64[n] labels and the name of each class; (None, None) without labels.

    Raises:
        DataError: An array has the wrong type or shape.
    """
    if "labels" not in arrays:
        return None, None
    labels = arrays["labels"]
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not labels.size:
        raise DataError(
            f"the labels of {path} must be n integers, not {labels.dtype}{list(labels.shape)}", reason="wrong_labels"
        )
    labels = labels.astype(np.int64)
    if not 0 <= int(labels.min()) <= int(labels.max()) < MAX_CLASSES:
        raise DataError(
            f"the labels of {path} must be 0 to {MAX_CLASSES - 1}, not {labels.min()} to {labels.max()}", reason="wrong_labels"
        )
    names = arrays.get("classes", np.arange(labels.max() + 1))
    if names.ndim != 1:
        raise DataError(
            f"the classes of {path} must be one name for each label, not an array of {names.ndim} axes", reason="wrong_labels"
        )
    return labels, tuple(str(name) for name in names)

"""Reads images from an .npz file.

The file holds `images`, uint8[n, height, width] or uint8[n, height, width, channels]; optionally `labels`, n integers; and
optionally `classes`, an array of text with the name of each label. Without `classes`, the names are the numbers.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import MAX_CLASSES
from seedmint.training.datasets.dataset import DataError, Dataset


def load_npz(path: str, licence: str | None) -> Dataset:
    """Return the data in an .npz file. No pickle is loaded.

    Args:
        path: The file.
        licence: Licence of the data, for the card.

    Raises:
        DataError: The file does not exist, or an array is missing or has the wrong type.
    """
    arrays = read_arrays(path, ("images", "labels", "classes"))
    if "images" not in arrays:
        raise DataError(f"{path} has no array named images", reason="no_array")
    images = arrays["images"]
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"the images of {path} must be uint8[n, height, width] or uint8[n, height, width, channels], "
            f"not {images.dtype}{list(images.shape)}",
            reason="wrong_array",
        )
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    labels, classes = labels_and_classes(arrays, path)
    return Dataset(Path(path).stem, np.ascontiguousarray(images), labels, classes, licence)


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

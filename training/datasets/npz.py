"""An .npz file: `images` uint8[n, height, width(, channels)], and if there are labels, `labels` of n whole numbers.

`classes`, an array of text, names them; otherwise they are named by their numbers.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import MAX_CLASSES
from seedmint.training.datasets.dataset import DataError, Dataset


def load_npz(path: str, licence: str | None) -> Dataset:
    """The data in an .npz file. Nothing in it is unpickled.

    Raises:
        DataError: no such file, or arrays that are missing or of the wrong kind.
    """
    arrays = read_arrays(path, ("images", "labels", "classes"))
    if "images" not in arrays:
        raise DataError(f"{path} has no array named images")
    images = arrays["images"]
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"{path}: images must be uint8[n, height, width] or [n, height, width, channels], "
            f"not {images.dtype}{list(images.shape)}"
        )
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    labels, classes = labels_and_classes(arrays, path)
    return Dataset(Path(path).stem, np.ascontiguousarray(images), labels, classes, licence)


def read_arrays(path: str, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Those arrays of an .npz file that are there. Nothing in it is unpickled.

    Raises:
        DataError: no such file, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names if name in file}
    except Exception as error:  # numpy, zipfile and zlib each raise their own on damaged files
        raise DataError(f"data.path: {path} cannot be read as an .npz file: {error}") from None


def labels_and_classes(
    arrays: dict[str, NDArray[Any]], path: str
) -> tuple[NDArray[np.int64], tuple[str, ...]] | tuple[None, None]:
    """Labels and their names, from the arrays `labels` and `classes`; (None, None) where there are no labels.

    Raises:
        DataError: arrays of the wrong kind.
    """
    if "labels" not in arrays:
        return None, None
    labels = arrays["labels"]
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not labels.size:
        raise DataError(f"{path}: labels must be whole numbers[n], not {labels.dtype}{list(labels.shape)}")
    labels = labels.astype(np.int64)
    if not 0 <= int(labels.min()) <= int(labels.max()) < MAX_CLASSES:
        raise DataError(f"{path}: labels must be 0 to {MAX_CLASSES - 1}, not {labels.min()} to {labels.max()}")
    names = arrays.get("classes", np.arange(labels.max() + 1))
    if names.ndim != 1:
        raise DataError(f"{path}: classes must be one name for each label, not an array of {names.ndim} axes")
    return labels, tuple(str(name) for name in names)

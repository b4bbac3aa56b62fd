"""A folder of images: `folder/CLASS/*.png` with labels from the sub-folders' names, or `folder/*.png` without."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from training.datasets.dataset import DataError, Dataset

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


def load_folder(path: str, side: int | None, channels: int | None, licence: str | None) -> Dataset:
    """All images of a folder, in the order of their names.

    Args:
        path: the folder.
        side: crop each image to its central square and resize it to this many pixels; None leaves the size, which must then
            be the same for all.
        channels: 1 turns colours to grey, 3 the reverse; None takes 3 if the first image has colours.
        licence: for the card.

    Raises:
        DataError: no folder, no images, a file that is no image, or sizes that differ.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"data.path: {path} is not a directory")
    groups = sorted(entry for entry in root.iterdir() if entry.is_dir() and _images_in(entry))
    loose = _images_in(root)
    if groups and loose:
        raise DataError(f"{path} holds both images and sub-folders of images: labels would be missing for {loose[0].name}")
    files = [(file, label) for label, group in enumerate(groups) for file in _images_in(group)] or [(f, 0) for f in loose]
    if not files:
        raise DataError(f"{path} holds no images ({', '.join(sorted(_SUFFIXES))})")
    arrays: list[NDArray[np.uint8]] = []
    for file, _ in files:
        array = _read(file, side, channels)
        channels = array.shape[0]
        if arrays and array.shape != arrays[0].shape:
            (_, h, w), (_, h0, w0) = array.shape, arrays[0].shape
            raise DataError(f"{file} is {w}x{h} and {files[0][0].name} {w0}x{h0}: set data.side to make them alike")
        arrays.append(array)
    labels = np.array([label for _, label in files], dtype=np.int64) if groups else None
    classes = tuple(group.name for group in groups) if groups else None
    return Dataset(root.resolve().name, np.stack(arrays), labels, classes, licence)


def _images_in(directory: Path) -> list[Path]:
    return sorted(file for file in directory.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())


def _read(file: Path, side: int | None, channels: int | None) -> NDArray[np.uint8]:
    """One image as uint8[channels, height, width]."""
    try:
        with Image.open(file) as opened:
            grey = opened.mode in ("1", "L", "LA", "I;16") if channels is None else channels == 1
            image = opened.convert("L" if grey else "RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{file}: not an image that can be read: {error}") from None
    if side is not None:
        edge = min(image.size)
        left, top = (image.width - edge) // 2, (image.height - edge) // 2
        image = image.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)

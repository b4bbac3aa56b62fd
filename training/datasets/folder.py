"""A folder of images: `folder/CLASS/*.png` with labels from the sub-folders' names, or `folder/*.png` without."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from seedmint.training.datasets.dataset import DataError, Dataset

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


def load_folder(path: str, side: int | None, channels: int | None, licence: str | None) -> Dataset:
    """All images of a folder, in the order of their names.

    Args:
        path: the folder.
        side: crop each image to its central square and resize it to this many pixels; None leaves the size, which must then
            be the same for all.
        channels: 1 turns colours to grey, 3 the reverse; None takes the files', which must then agree.
        licence: for the card.

    Raises:
        DataError: no folder, no images, a file that is no image, or sizes or channels that differ.
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
        if arrays and len(array) != len(arrays[0]):
            raise DataError(f"{file} and {files[0][0].name} are not both grey or both in colour: set data.channels to 1 or 3")
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
    """One image as uint8[channels, height, width]: upright, transparent parts on white."""
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except Exception as error:  # decoders raise what they like on damaged files
        raise DataError(f"{file}: not an image that can be read: {error}") from None
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError(f"{file}: pixels of 32 bits (mode {image.mode}) have no white level: convert to 8 or 16 bits")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    grey = image.mode in ("1", "L", "LA") if channels is None else channels == 1
    image = image.convert("L" if grey else "RGB")
    if side is not None:
        edge = min(image.size)
        left, top = (image.width - edge) // 2, (image.height - edge) // 2
        image = image.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)

"""Reads a folder of images: `folder/CLASS/*.png`, where the subfolders are the labels, or `folder/*.png` without labels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from seedmint.training.datasets.dataset import DataError, Dataset

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


def load_folder(path: str, side: int | None, channels: int | None, licence: str | None) -> Dataset:
    """Return all images of a folder, sorted by name.

    Args:
        path: The folder.
        side: Crop each image to its central square and resize it to this side, in pixels. With None, all images must have the
            same size.
        channels: 1 converts to grayscale, 3 to color. With None, all images must have the same number of channels.
        licence: Licence of the data, for the card.

    Raises:
        DataError: The folder does not exist or has no images, a file is not an image, or sizes or channels differ.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{path} is not a directory", field="data.path", reason="not_found")
    class_folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and _images_in(entry))
    unlabeled = _images_in(root)
    if class_folders and unlabeled:
        raise DataError(
            f"{path} holds images next to subfolders of images, so {unlabeled[0].name} would have no label",
            reason="mixed_folder",
        )
    files = [(file, label) for label, folder in enumerate(class_folders) for file in _images_in(folder)]
    files = files or [(file, 0) for file in unlabeled]
    if not files:
        raise DataError(f"{path} holds no images ({', '.join(sorted(_SUFFIXES))})", field="data.path", reason="no_images")
    arrays: list[NDArray[np.uint8]] = []
    for file, _ in files:
        array = _read(file, side, channels)
        if arrays and len(array) != len(arrays[0]):
            raise DataError(
                f"set 1 or 3: of {file} and {files[0][0].name}, one is grayscale and one is in color",
                field="data.channels",
                reason="mixed_channels",
            )
        if arrays and array.shape != arrays[0].shape:
            (_, h, w), (_, h0, w0) = array.shape, arrays[0].shape
            raise DataError(
                f"set a side to resize the images: {file} is {w}x{h}, but {files[0][0].name} is {w0}x{h0}",
                field="data.side",
                reason="mixed_sizes",
            )
        arrays.append(array)
    labels = np.array([label for _, label in files], dtype=np.int64) if class_folders else None
    classes = tuple(folder.name for folder in class_folders) if class_folders else None
    return Dataset(root.resolve().name, np.stack(arrays), labels, classes, licence)


def _images_in(directory: Path) -> list[Path]:
    return sorted(file for file in directory.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())


def _read(file: Path, side: int | None, channels: int | None) -> NDArray[np.uint8]:
    """Return one image as uint8[channels, height, width], upright, with transparent parts on white."""
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except Exception as error:  # the decoders of damaged files raise many types
        raise DataError(f"{file} is not a readable image: {error}", reason="unreadable_image") from None
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError(
            f"convert {file} to 8 or 16 bits: 32-bit pixels (mode {image.mode}) have no white level", reason="unsupported_image"
        )
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    is_grayscale = image.mode in ("1", "L", "LA") if channels is None else channels == 1
    image = image.convert("L" if is_grayscale else "RGB")
    if side is not None:
        crop = min(image.size)
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop)).resize((side, side), Image.Resampling.LANCZOS)
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)

"""Reads a folder of images: `folder/CLASS/*.png`, where the subfolders are the labels, or `folder/*.png` without labels."""

from dataclasses import dataclass
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
        channels: 1 converts to grayscale, 3 to color, 4 to color with opacity. With None, all images must have the same number
            of channels.
        licence: Licence of the data, for the card.

    Raises:
        DataError: The folder does not exist or has no images, a file is not an image, or sizes or channels differ.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{path} is not a directory", field="data.path", reason="not_found")
    listing = _list_images(root)
    arrays = _read_all(listing.files, side, channels)
    labels = None if listing.labels is None else np.array(listing.labels, dtype=np.int64)
    return Dataset(root.resolve().name, np.stack(arrays), labels, listing.classes, licence)


@dataclass(frozen=True)
class _Listing:
    """Files of a folder.

    Attributes:
        files: The images, sorted by class and name; at least one.
        labels: The label of each image; None for a folder without subfolders.
        classes: Name of each label, or None.
    """

    files: list[Path]
    labels: list[int] | None = None
    classes: tuple[str, ...] | None = None


def _list_images(root: Path) -> _Listing:
    subfolders = sorted(entry for entry in root.iterdir() if entry.is_dir())
    classes = {folder.name: files for folder in subfolders if (files := _images_in(folder))}
    unlabeled = _images_in(root)
    if classes and unlabeled:
        raise DataError(
            f"{root} holds images next to subfolders of images, so {unlabeled[0].name} would have no label",
            reason="mixed_folder",
        )
    if classes:
        labels = [label for label, files in enumerate(classes.values()) for _ in files]
        return _Listing([file for files in classes.values() for file in files], labels, tuple(classes))
    if not unlabeled:
        raise DataError(f"{root} holds no images ({', '.join(sorted(_SUFFIXES))})", field="data.path", reason="no_images")
    return _Listing(unlabeled)


def _read_all(files: list[Path], side: int | None, channels: int | None) -> list[NDArray[np.uint8]]:
    """Read images that must have the same shape."""
    first = _read(files[0], side, channels)
    arrays = [first]
    for file in files[1:]:
        array = _read(file, side, channels)
        if len(array) != len(first):
            raise DataError(
                f"set 1 or 3: of {file} and {files[0].name}, one is grayscale and one is in color",
                field="data.channels",
                reason="mixed_channels",
            )
        if array.shape != first.shape:
            (_, h, w), (_, h0, w0) = array.shape, first.shape
            raise DataError(
                f"set a side to resize the images: {file} is {w}x{h}, but {files[0].name} is {w0}x{h0}",
                field="data.side",
                reason="mixed_sizes",
            )
        arrays.append(array)
    return arrays


def _images_in(directory: Path) -> list[Path]:
    return sorted(file for file in directory.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())


def _read(file: Path, side: int | None, channels: int | None) -> NDArray[np.uint8]:
    """Return one image as uint8[channels, height, width], upright. Without 4 channels, transparent parts are on white."""
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
    if image.has_transparency_data and channels != 4:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    is_grayscale = image.mode in ("1", "L", "LA") if channels is None else channels == 1
    image = image.convert("L" if is_grayscale else "RGBA" if channels == 4 else "RGB")
    if side is not None:
        crop = min(image.size)
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop)).resize((side, side), Image.Resampling.LANCZOS)
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)

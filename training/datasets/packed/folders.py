"""Folders and zip archives of image files: CLASS/*.png, where the top folders are the labels, or *.png without labels."""

import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.packed.files import Files, is_hidden
from seedmint.training.datasets.packed.source import Note, Record, Source, note

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})


class Listing(NamedTuple):
    """Image files with their labels.

    Attributes:
        names: Names of the files, sorted by class and name.
        labels: Name of the class of each file, or None.
        notes: What is skipped.
    """

    names: list[str]
    labels: list[str | None]
    notes: tuple[Note, ...]


def list_images(names: Sequence[str], directories: Sequence[str], location: str) -> Listing:
    """Find the image files and their labels.

    Args:
        names: Paths of all files, relative to the source.
        directories: Paths of all directories, relative to the source.
        location: The source, for messages.

    Raises:
        DataError: There is no image, or images lie next to folders of images.
    """
    hidden = [name for name in names if is_hidden(name)]
    visible = [name for name in names if not is_hidden(name)]
    images = [name for name in visible if name.lower().endswith(IMAGE_SUFFIXES)]
    others = [name for name in visible if not name.lower().endswith(IMAGE_SUFFIXES)]
    if not images:
        found = sorted({PurePosixPath(name).suffix or name for name in others})
        message = f"{location} holds no images ({', '.join(IMAGE_SUFFIXES)})" + (
            f", only {', '.join(found[:8])}" if found else ""
        )
        raise DataError(message, field="data.path", reason="no_images")
    prefix, split_notes = _root(images)
    inner = {name: PurePosixPath(name).relative_to(prefix).parts if prefix else PurePosixPath(name).parts for name in images}
    if split_notes:
        inner = {name: parts[1:] for name, parts in inner.items()}
    top = [name for name, parts in inner.items() if len(parts) == 1]
    notes = (
        *note("hidden_files", "files of programs and systems are skipped", hidden),
        *note("other_files", "files that are not images are skipped", others),
        *split_notes,
        *note("empty_folder", "folders without images are no classes", _empty(directories, images)),
        *note(
            "nested_folder",
            "images in nested folders have the label of their top folder",
            [name for name, parts in inner.items() if len(parts) > 2],
        ),
    )
    if len(top) == len(images):
        return Listing(sorted(images), [None] * len(images), notes)
    if top:
        message = f"{location} holds images next to folders of images: {top[0]} would have no label; move it into a folder"
        raise DataError(message, field="data.path", reason="mixed_folder")
    ordered = sorted(images, key=lambda name: (inner[name][0], name))
    return Listing(ordered, [inner[name][0] for name in ordered], notes)


def open_folder(files: Files) -> Source:
    """List a directory of image files.

    Args:
        files: The files of the directory.

    Raises:
        DataError: See `list_images`.
    """
    if not files.is_directory:
        raise DataError(f"{files.location} is not a directory", field="data.path", reason="not_found")
    by_name = {file.name: file for file in files.all}
    names, labels, notes = list_images(list(by_name), files.directories, files.location)

    def records() -> Iterator[Record]:
        for name, label in zip(names, labels, strict=True):
            yield Record(name, label, partial(files.read, by_name[name]))

    return Source(files, len(names), None, notes, records)


def open_zip(files: Files) -> Source:
    """List a zip archive of image files.

    Args:
        files: The archive.

    Raises:
        DataError: The archive is damaged, or see `list_images`.
    """
    (file,) = files.all
    try:
        with files.open(file) as opened, zipfile.ZipFile(opened) as archive:
            entries = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"{files.location} is not a readable zip file: {error}", field="data.path", reason="unreadable"
        ) from None
    directories = [entry.rstrip("/") for entry in entries if entry.endswith("/")]
    names, labels, notes = list_images([e for e in entries if not e.endswith("/")], directories, files.location)

    def records() -> Iterator[Record]:
        with files.open(file) as opened, zipfile.ZipFile(opened) as archive:
            for name, label in zip(names, labels, strict=True):
                yield Record(name, label, _zip_member(archive, name))

    return Source(files, len(names), None, notes, records)


def _zip_member(archive: zipfile.ZipFile, name: str) -> "partial[bytes]":
    """Read a member now: an archive has one position for all threads. A damaged member fails when its content is used."""
    try:
        return partial(bytes, archive.read(name))
    except Exception as error:  # zlib, zipfile and RuntimeError for encrypted members
        return partial(_fail, f"damaged member of the archive: {error}")


def _fail(message: str) -> bytes:
    raise ValueError(message)


def _root(images: Sequence[str]) -> tuple[str, tuple[Note, ...]]:
    """Return the folder that holds the classes, and a note if its folders are splits such as `train` and `test`."""
    parts = [PurePosixPath(name).parts[:-1] for name in images]
    depth = 0
    while all(len(part) > depth for part in parts) and len({part[depth] for part in parts}) == 1:
        depth += 1
    prefix = "/".join(parts[0][:depth])
    splits = {part[depth].lower() if len(part) > depth else "" for part in parts}
    if len(splits) > 1 and splits <= _SPLITS:
        return prefix, note("joined_splits", "the folders of splits are joined; another split is drawn", sorted(splits))
    return prefix, ()


def _empty(directories: Sequence[str], images: Sequence[str]) -> list[str]:
    used = {str(parent) for name in images for parent in PurePosixPath(name).parents}
    return [name for name in directories if name not in used and not is_hidden(name)]

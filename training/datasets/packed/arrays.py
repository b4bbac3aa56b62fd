"""Images in .npz and .npy files, read row by row, so that memory does not grow with the file.

An .npz file holds `images`, uint8[n, height, width] or uint8[n, height, width, channels]; optionally `labels`, n integers; and
optionally `classes`, an array of text with the name of each label. Without `classes`, the names are the numbers.
"""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.npz import labels_and_classes
from seedmint.training.datasets.packed.files import File, Files
from seedmint.training.datasets.packed.source import Note, Record, Source, note

_CHANNELS = (1, 3, 4)
_IMAGES = "images.npy"


@dataclass(frozen=True)
class _Array:
    """Header of an array in a file.

    Attributes:
        file: The file.
        member: Name of the member of an .npz file; None for an .npy file.
        shape: Shape of the array.
        channels_first: Whether the axes are n, channels, height, width.
    """

    file: File
    member: str | None
    shape: tuple[int, ...]
    channels_first: bool


def open_arrays(
    files: Files, chosen: Sequence[File], labels: NDArray[np.int64] | None, classes: tuple[str, ...] | None
) -> Source:
    """List .npz and .npy files.

    Args:
        files: The source.
        chosen: The .npz or .npy files with images, in their order.
        labels: The labels of all images, int64[n]; None takes the labels of the .npz files.
        classes: Name of each label; None takes the names of the .npz files.

    Raises:
        DataError: A file is damaged, or an array is missing or has the wrong type.
    """
    arrays: list[_Array] = []
    own_labels: list[NDArray[np.int64] | None] = []
    notes: list[Note] = []
    for file in chosen:
        array, extra, array_notes = _read_header(files, file)
        found_labels, found_classes = labels_and_classes(extra, file.name)
        if found_labels is not None and len(found_labels) != array.shape[0]:
            message = f"{file.name} has {array.shape[0]} images and {len(found_labels)} labels"
            raise DataError(message, reason="wrong_labels")
        arrays.append(array)
        own_labels.append(found_labels)
        notes += array_notes
        if classes is None and found_classes is not None:
            classes = found_classes
    if labels is None and all(part is not None for part in own_labels):
        labels = np.concatenate([part for part in own_labels if part is not None])
    if labels is not None and (classes is None or int(labels.max(initial=0)) >= len(classes)):
        raise DataError(f"the labels of {files.location} must be below the number of classes", reason="wrong_labels")
    if classes is not None and len(set(classes)) < len(classes):
        raise DataError(f"two classes of {files.location} have the same name", reason="duplicate_class")
    return Source(
        files,
        sum(array.shape[0] for array in arrays),
        None if labels is None else classes,
        tuple(notes),
        partial(_records, files, arrays, labels),
    )


def _records(files: Files, arrays: Sequence[_Array], labels: NDArray[np.int64] | None) -> Iterator[Record]:
    number = 0
    for array in arrays:
        for row, image in enumerate(_rows(files, array)):
            label = None if labels is None else int(labels[number])
            yield Record(f"{array.file.name}[{row}]", label, partial(np.asarray, image))
            number += 1


def _rows(files: Files, array: _Array) -> Iterator[NDArray[np.uint8]]:
    """Yield images as uint8[height, width, channels]."""
    try:
        with files.open(array.file) as opened:
            if array.member is None:
                yield from _stream(opened, array)
            else:
                with zipfile.ZipFile(opened) as archive, archive.open(array.member) as stream:
                    yield from _stream(stream, array)
    except DataError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise different types for damaged files
        raise _unreadable(array.file.name, error) from None


def _stream(stream: IO[bytes], array: _Array) -> Iterator[NDArray[np.uint8]]:
    _, fortran, _ = _npy_header(stream)
    if fortran:
        content = np.frombuffer(stream.read(), np.uint8).reshape(array.shape, order="F")
        yield from (_pixels(image, array.channels_first) for image in content)
        return
    size = int(np.prod(array.shape[1:]))
    for _ in range(array.shape[0]):
        row = stream.read(size)
        if len(row) < size:
            raise ValueError("the file ends too early")
        yield _pixels(np.frombuffer(row, np.uint8).reshape(array.shape[1:]), array.channels_first)


def _pixels(image: NDArray[np.uint8], channels_first: bool) -> NDArray[np.uint8]:
    if image.ndim == 2:
        return image[..., None]
    return image.transpose(1, 2, 0) if channels_first else image


def _read_header(files: Files, file: File) -> tuple[_Array, dict[str, NDArray[Any]], tuple[Note, ...]]:
    """Return the header of the images, the arrays of labels and classes, and notes."""
    try:
        with files.open(file) as opened:
            if file.name.lower().endswith(".npy"):
                shape, _, dtype = _npy_header(opened)
                return _check(file, None, shape, dtype), {}, _layout_notes(file, shape)
            with zipfile.ZipFile(opened) as archive:
                members = [name for name in archive.namelist() if name.endswith(".npy")]
                headers = {name: _member_header(archive, name) for name in members}
                member = _choose(file, headers)
                shape, _, dtype = headers[member]
                array = _check(file, member, shape, dtype)
                wanted = [name for name in ("labels", "classes") if f"{name}.npy" in members]
                extra = {name: _member(archive, f"{name}.npy") for name in wanted}
                used = {member, *(f"{name}.npy" for name in wanted), "seeds.npy"}
                unused = [name.removesuffix(".npy") for name in members if name not in used]
                notes = note("unused_arrays", "arrays of the file are not used (labels must be named labels)", unused)
                return array, extra, (*_layout_notes(file, shape), *notes)
    except DataError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise different types for damaged files
        raise _unreadable(file.name, error) from None


def _choose(file: File, headers: dict[str, tuple[tuple[int, ...], bool, np.dtype[Any]]]) -> str:
    """Return the member with the images: `images`, or the only array of images."""
    if _IMAGES in headers:
        return _IMAGES
    suited = [name for name, (shape, _, dtype) in headers.items() if dtype == np.uint8 and len(shape) in (3, 4)]
    if len(suited) == 1:
        return suited[0]
    found = ", ".join(f"{name.removesuffix('.npy')} {dtype}{list(shape)}" for name, (shape, _, dtype) in headers.items())
    message = f"{file.name} has no array named images; its arrays are {found or 'none'}: rename the array of images"
    raise DataError(message, reason="no_array")


def _check(file: File, member: str | None, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> _Array:
    if dtype.hasobject:
        raise DataError(f"{file.name} holds Python objects, which are not read", field="data.path", reason="unreadable")
    if dtype.kind == "f":
        message = f"multiply the images of {file.name} by 255 if they are 0 to 1, round, and convert {dtype} to uint8"
        raise DataError(message, reason="wrong_array")
    wrong_shape = len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and not {shape[1], shape[3]} & set(_CHANNELS))
    if dtype != np.uint8 or wrong_shape:
        message = (
            f"the images of {file.name} have type {dtype} and shape {list(shape)}, but must have type uint8 and shape "
            "[n, height, width], [n, height, width, channels] or [n, channels, height, width] with 1, 3 or 4 channels"
        )
        raise DataError(message, reason="wrong_array")
    return _Array(file, member, shape, _is_channels_first(shape))


def _is_channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[3] not in _CHANNELS and shape[1] in _CHANNELS


def _layout_notes(file: File, shape: tuple[int, ...]) -> tuple[Note, ...]:
    if not _is_channels_first(shape):
        return ()
    return (Note("channels_first", f"the images have shape {list(shape)}, with the channels first", shape[0], (file.name,)),)


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    version = npy_format.read_magic(stream)
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    return read(stream)


def _member_header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    with archive.open(name) as stream:
        return _npy_header(stream)


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as stream:
        array: NDArray[Any] = npy_format.read_array(stream, allow_pickle=False)
        return array


def _unreadable(name: str, error: Exception) -> DataError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{name} is not readable: {text}", field="data.path", reason="unreadable")

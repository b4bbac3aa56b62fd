"""Moves external data of an ONNX file into the model. Reads only regular files inside the folder of the ONNX file."""

import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from onnx import FunctionProto, GraphProto, ModelProto, TensorProto, helper

from seedmint.models.runtime.generator_file import MAX_FILE_BYTES
from seedmint.service.importer.errors import GeneratorImportError

_MAX_TENSORS = 100_000
_MAX_SHOWN = 200  # characters of a name in a message


def inline_external_data(model: ModelProto, folder: Path) -> None:
    """Read all external data of a model and store the bytes in the model.

    Args:
        model: The model; changed in place.
        folder: The folder of the ONNX file.

    Raises:
        GeneratorImportError: A file is outside the folder, missing, a link, not a regular file, or sparse; an offset or a
            length does not match the file or the tensor; or the data are larger than an ONNX file can be. The reason
            `external_data_link` includes all files that are not regular; `external_data_offset` includes files that are too
            short; `external_data_length` includes types and shapes that external data cannot have.
    """
    external = [t for t in _all_tensors(model) if t.data_location == TensorProto.EXTERNAL or t.external_data]
    if not external:
        return
    if len(external) > _MAX_TENSORS:
        raise _refusal(f"{len(external)} tensors have external data: the maximum is {_MAX_TENSORS}", "external_data_too_large")
    total = sum(_num_bytes(tensor) for tensor in external)
    if total > MAX_FILE_BYTES:
        raise _refusal(f"the external data have {total} bytes: the maximum is {MAX_FILE_BYTES}", "external_data_too_large")
    for tensor in external:
        tensor.raw_data = _read(tensor, folder)
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def external_files(model: ModelProto, folder: Path) -> list[Path]:
    """Return the files of the external data of a model, sorted.

    Args:
        model: A model whose external data `inline_external_data` accepts.
        folder: The folder of the ONNX file.
    """
    entries = (entry for tensor in _all_tensors(model) for entry in tensor.external_data)
    return [folder / location for location in sorted({entry.value for entry in entries if entry.key == "location"})]


def _read(tensor: TensorProto, folder: Path) -> bytes:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    expected = _num_bytes(tensor)
    try:
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", str(expected)))
    except ValueError:
        raise _refusal(f"tensor {tensor.name!r}: offset and length must be integers", "external_data_offset") from None
    if length != expected:
        raise _refusal(
            f"tensor {tensor.name!r} needs {expected} bytes, but its external data have {length}", "external_data_length"
        )
    descriptor = _open(entries.get("location", ""), folder)
    try:
        size = os.fstat(descriptor).st_size
        if offset < 0 or offset + length > size:
            raise _refusal(
                f"tensor {tensor.name!r}: bytes {offset} to {offset + length} are not inside {entries['location']!r}, "
                f"which has {size} bytes",
                "external_data_offset",
            )
        if _has_hole(descriptor, offset, length):
            raise _refusal(
                f"{entries['location']!r} is a sparse file: copy it with `cp --sparse=never`", "external_data_sparse"
            )
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            file.seek(offset)
            data = file.read(length)
    finally:
        os.close(descriptor)
    if len(data) != length:
        raise _refusal(f"{entries['location']!r} became shorter while it was read", "external_data_offset")
    return data


def _open(location: str, folder: Path) -> int:
    """Open a file inside the folder. No part of its path may be a link, and the last part must be a regular file."""
    path = PurePosixPath(location)
    windows = PureWindowsPath(location)
    is_absolute = path.is_absolute() or windows.drive or windows.root
    if not path.parts or is_absolute or ".." in windows.parts or "\0" in location:
        raise _refusal(
            f"external data {location[:_MAX_SHOWN]!r} must be a relative path inside the file's folder", "external_data_path"
        )
    current = folder
    try:
        for part in path.parts:
            current = current / part
            if current.is_symlink():
                raise _refusal(f"external data {location!r} is a link: copy the file into the folder", "external_data_link")
        descriptor = os.open(current, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:  # also a name that is too long
        raise _refusal(
            f"external data {location[:_MAX_SHOWN]!r} cannot be read ({error.strerror}): put the file beside the ONNX file",
            "external_data_missing",
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refusal(f"external data {location!r} is not a regular file", "external_data_link")
    return descriptor


def _has_hole(descriptor: int, offset: int, length: int) -> bool:
    """Return whether a part of a file occupies no disk space. A sparse file of a few bytes may claim gigabytes."""
    if length == 0 or not hasattr(os, "SEEK_HOLE"):
        return False
    try:
        return os.lseek(descriptor, offset, os.SEEK_HOLE) < offset + length
    except OSError:  # the file system does not report holes
        return False


def _num_bytes(tensor: TensorProto) -> int:
    try:
        item = int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except (KeyError, TypeError, ValueError):
        item = 0
    if tensor.data_type == TensorProto.STRING or item == 0 or any(size < 0 for size in tensor.dims):
        raise _refusal(f"tensor {tensor.name!r} has a type or shape that external data cannot have", "external_data_length")
    return int(math.prod(tensor.dims)) * item


def _all_tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function)


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph)


def _node_tensors(graph: GraphProto | FunctionProto) -> Iterator[TensorProto]:
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            for inner in (*attribute.graphs, *((attribute.g,) if attribute.HasField("g") else ())):
                yield from _graph_tensors(inner)


def _refusal(message: str, reason: str) -> GeneratorImportError:
    return GeneratorImportError(message, reason=reason)

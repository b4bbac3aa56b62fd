"""Parquet files with a Hugging Face Image column: a struct of `bytes` and `path`, or the bytes of image files."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.packed.files import File, Files
from seedmint.training.datasets.packed.source import Record, Source, note

_LABELS = ("label", "labels", "class", "class_name", "category", "fine_label")
_ROWS = 64  # read at once


class _Columns(NamedTuple):
    """The columns that are used.

    Attributes:
        image: Column of images.
        label: Column of labels, or None.
        classes: Names of the labels, if the schema lists them.
    """

    image: str
    label: str | None
    classes: tuple[str, ...] | None


def open_parquet(files: Files, chosen: Sequence[File], classes: tuple[str, ...] | None) -> Source:
    """List Parquet files.

    Args:
        files: The source.
        chosen: The Parquet files, in their order.
        classes: Name of each label; None takes the names of the schema.

    Raises:
        DataError: A file is damaged, or has no column of images.
    """
    try:
        with files.open(chosen[0]) as opened:
            schema = parquet.read_schema(opened)
        counts = [_count(files, file) for file in chosen]
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(files.location, error) from None
    columns = _columns(schema, chosen[0].name)
    unused = [name for name in schema.names if name not in (columns.image, columns.label)]
    notes = note("unused_columns", "columns of the files are not used", unused)
    return Source(files, sum(counts), classes or columns.classes, notes, partial(_records, files, chosen, columns))


def has_images(path: Path) -> bool:
    """Return whether a Parquet file has a column of images; also true for a file that is not readable as Parquet.

    Args:
        path: The file.
    """
    try:
        _columns(parquet.read_schema(path), path.name)
    except DataError:
        return False
    except (pa.ArrowException, OSError):
        return True
    return True


def _count(files: Files, file: File) -> int:
    with files.open(file) as opened:
        return int(parquet.ParquetFile(opened).metadata.num_rows)


def _records(files: Files, chosen: Sequence[File], columns: _Columns) -> Iterator[Record]:
    names = [name for name in (columns.image, columns.label) if name is not None]
    for file in chosen:
        try:
            with files.open(file) as opened:
                row = 0
                for batch in parquet.ParquetFile(opened).iter_batches(_ROWS, columns=names):
                    labels = [None] * len(batch) if columns.label is None else batch.column(columns.label).to_pylist()
                    for cell, label in zip(batch.column(columns.image).to_pylist(), labels, strict=True):
                        yield Record(f"{file.name}[{row}]", label, partial(_content, cell))
                        row += 1
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file.name, error) from None


def _content(cell: Any) -> bytes:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        path = cell.get("path") if isinstance(cell, dict) else None
        raise ValueError(f"the cell has no bytes, only the path {path!r}" if path else "the cell is empty")
    return content


def _columns(schema: pa.Schema, name: str) -> _Columns:
    features = _features(schema)
    images = [
        field.name
        for field in schema
        if features.get(field.name, {}).get("_type") == "Image"
        or (pa.types.is_struct(field.type) and {"bytes", "path"} <= {child.name for child in field.type})
    ] or [field.name for field in schema if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)]
    if not images:
        found = ", ".join(f"{field.name}: {field.type}" for field in schema)
        message = f"{name} has no column of images (a struct of bytes and path, or binary); its columns are {found}"
        raise DataError(message, field="data.path", reason="no_images")
    labels = [field.name for field in schema if features.get(field.name, {}).get("_type") == "ClassLabel"]
    labels += [column for column in _LABELS if column in schema.names and _is_label(schema.field(column).type)]
    if not labels:
        return _Columns(images[0], None, None)
    names = features.get(labels[0], {}).get("names")
    return _Columns(images[0], labels[0], tuple(map(str, names)) if isinstance(names, list) else None)


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Return the features of the columns that the Hugging Face library writes into the schema."""
    try:
        document = json.loads((schema.metadata or {})[b"huggingface"])
        features = document["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _is_label(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _unreadable(name: str, error: Exception) -> DataError:
    text = str(error).splitlines()[0]
    return DataError(f"{name} is not a readable Parquet file: {text}", field="data.path", reason="unreadable")

"""The output of Seedmint's own batch jobs, in each of their formats. The class names come from the card in manifest.json."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.packed.arrays import open_arrays
from seedmint.training.datasets.packed.files import File, Files
from seedmint.training.datasets.packed.folders import open_folder
from seedmint.training.datasets.packed.parquet import open_parquet
from seedmint.training.datasets.packed.source import Record, Source
from seedmint.training.datasets.packed.webdataset import open_webdataset

_MANIFEST, _PLAN, _DATA = "manifest.json", "plan.json", "data/"


def is_batch_job(files: Files) -> bool:
    """Return whether a directory is the output of a batch job.

    Args:
        files: The files of the directory.
    """
    names = {file.name for file in files.all}
    return _PLAN in names and any(name.startswith(("records/", _DATA)) for name in names)


def open_batch_job(files: Files) -> Source:
    """List the output of a batch job.

    Args:
        files: The files of the output directory.

    Raises:
        DataError: The directory is no output of a batch job, the job is not finished, it wrote samples, or its generators have
            different classes.
    """
    manifest = next((file for file in files.all if file.name == _MANIFEST), None)
    if manifest is None:
        message = f"{files.location} holds no finished batch job: {_MANIFEST} is missing; run the job again to finish it"
        raise DataError(message, field="data.path", reason="incomplete_job")
    try:
        document: dict[str, Any] = json.loads(files.read(manifest))
        card, shard_format = document["card"], document["format"]
        kind, names = card["output"].get("kind", "image"), card.get("classes")
        others = [generator["card"].get("classes") for generator in document.get("others", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{files.location}/{_MANIFEST} is damaged", field="data.path", reason="unreadable") from None
    if kind != "image":
        message = f"{files.location} holds samples, not images; train on them with a recipe of source table or series"
        raise DataError(message, field="data.path", reason="not_images")
    if any(other != names for other in others):
        message = f"{files.location} holds images of generators with different classes; train on a data set of each generator"
        raise DataError(message, field="data.path", reason="different_classes")
    classes = None if names is None else tuple(map(str, names))
    if shard_format == "png":
        return _pngs(files, classes)
    data = [file for file in files.with_suffix(_SUFFIXES[shard_format]) if file.name.startswith(_DATA)]
    if shard_format == "parquet":
        return open_parquet(files, data, classes)
    if shard_format == "webdataset":
        return open_webdataset(files, data, classes)
    labels = _labels(files) if shard_format == "npy" and classes is not None else None
    return open_arrays(files, data, labels, classes)


_SUFFIXES = {"npz": ".npz", "npy": ".npy", "webdataset": ".tar", "parquet": ".parquet"}


def _pngs(files: Files, classes: tuple[str, ...] | None) -> Source:
    source = open_folder(files)
    if classes is None:
        return source

    def records() -> Iterator[Record]:
        for record in source.records():
            folder = PurePosixPath(record.name).parent.name  # data/LABEL/SEED.png, or data/SPLIT/LABEL/SEED.png
            yield replace(record, label=int(folder) if folder.isdecimal() else None)

    return replace(source, classes=classes, records=records)


def _labels(files: Files) -> NDArray[np.int64]:
    """Read the labels of a job of format npy from its metadata files, in the order of the shards."""
    tables: list[File] = [file for file in files.with_suffix("metadata.parquet") if file.name.startswith(_DATA)]
    try:
        parts = [
            parquet.read_table(pa.BufferReader(files.read(file)), columns=["label"])["label"].to_numpy() for file in tables
        ]
    except (pa.ArrowException, OSError, KeyError) as error:
        message = f"the labels of {files.location} are not readable: {str(error).splitlines()[0]}"
        raise DataError(message, field="data.path", reason="unreadable") from None
    return np.concatenate(parts).astype(np.int64)

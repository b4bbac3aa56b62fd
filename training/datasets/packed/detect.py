"""Finds the kind of a source, and lists the source."""

from typing import get_args

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.packed.arrays import open_arrays
from seedmint.training.datasets.packed.batch_job import is_batch_job, open_batch_job
from seedmint.training.datasets.packed.files import Files
from seedmint.training.datasets.packed.folders import IMAGE_SUFFIXES, open_folder, open_zip
from seedmint.training.datasets.packed.parquet import open_parquet
from seedmint.training.datasets.packed.source import Source
from seedmint.training.datasets.packed.webdataset import TAR_SUFFIXES, open_webdataset
from seedmint.training.recipes.data import PackedSource


def detect_kind(files: Files) -> PackedSource:
    """Return the kind of a source.

    Args:
        files: The files of the source.

    Raises:
        DataError: No kind suits the files.
    """
    if files.is_directory:
        if is_batch_job(files):
            return "batch"
        if files.with_suffix(*IMAGE_SUFFIXES):
            return "folder"
        kinds: dict[PackedSource, tuple[str, ...]] = {"webdataset": TAR_SUFFIXES, "parquet": (".parquet",), "npz": (".npz",)}
        return next((kind for kind, suffixes in kinds.items() if files.with_suffix(*suffixes)), "folder")
    name = files.all[0].name.lower()
    suffixes = {".zip": "zip", ".npz": "npz", ".npy": "npz", ".parquet": "parquet", **dict.fromkeys(TAR_SUFFIXES, "webdataset")}
    for suffix, kind in suffixes.items():
        if name.endswith(suffix):
            assert kind in get_args(PackedSource)
            return kind  # type: ignore[return-value]
    message = (
        f"{files.location} is neither a folder nor one of {', '.join(suffixes)}; a recipe ends in .yaml, "
        "and tables and series need a recipe"
    )
    raise DataError(message, field="data.path", reason="unknown_suffix")


def open_source(files: Files, kind: PackedSource) -> Source:
    """List a source.

    Args:
        files: The files of the source.
        kind: Its kind.

    Raises:
        DataError: The source is damaged, or holds no images.
    """
    if kind == "folder":
        return open_folder(files)
    if kind == "batch":
        return open_batch_job(files)
    suffixes = {"zip": (".zip",), "npz": (".npz", ".npy"), "webdataset": TAR_SUFFIXES, "parquet": (".parquet",)}[kind]
    chosen = files.with_suffix(*suffixes) if files.is_directory else list(files.all)
    if not chosen or (kind == "zip" and files.is_directory):
        raise DataError(f"{files.location} holds no {kind} files", field="data.path", reason="no_images")
    if kind == "zip":
        return open_zip(files)
    if kind == "npz":
        return open_arrays(files, chosen, None, None)
    if kind == "webdataset":
        return open_webdataset(files, chosen, None)
    return open_parquet(files, chosen, None)

"""From a URL to the storage that serves it."""

from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from seedmint.service.batch.storage.base import Output, PlaceError
from seedmint.service.batch.storage.local import Folder


def open_output(url: str) -> Output:
    """The output at a path or URL, which need not exist yet.

    Raises:
        PlaceError: no such kind of place is known, or its library is not installed.
    """
    if not url.strip():
        raise PlaceError("--out is empty: give a folder, or . for this one")
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        cure = "pip install -e '.[s3]'" if url.startswith("s3") else str(error)
        raise PlaceError(f"--out {url}: the library for such places is not installed: {cure}") from None
    except ValueError as error:
        raise PlaceError(f"--out {url}: {error}") from None
    if isinstance(system, LocalFileSystem):
        return Folder(Path(path))
    from seedmint.service.batch.storage.object_store import Objects

    return Objects(system, path, url)

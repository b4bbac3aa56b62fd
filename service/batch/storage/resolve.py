"""Opens the storage for a path or URL."""

from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from seedmint.service.batch.storage.base import InvalidOutputError, Output
from seedmint.service.batch.storage.local import LocalOutput


def open_output(url: str) -> Output:
    """Open an output, which need not exist yet.

    Args:
        url: A path, or a URL of any kind that fsspec supports.

    Raises:
        InvalidOutputError: The kind of URL is unknown, or its library is not installed.
    """
    if not url.strip():
        raise InvalidOutputError("is empty: use a folder, or . for the current folder", field="out", reason="empty")
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        remedy = "pip install -e '.[s3]'" if url.startswith("s3") else str(error)
        raise InvalidOutputError(
            f"{url}: the library for this kind of URL is not installed: {remedy}", field="out", reason="library_missing"
        ) from None
    except ValueError as error:
        raise InvalidOutputError(f"{url}: {error}", field="out", reason="unknown_protocol") from None
    if isinstance(system, LocalFileSystem):
        return LocalOutput(Path(path))
    from seedmint.service.batch.storage.object_store import ObjectStoreOutput

    return ObjectStoreOutput(system, path, url)

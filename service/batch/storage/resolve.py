"""Opens the storage for a path or URL."""

import re
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from seedmint.service.batch.storage.base import InvalidOutputError, Output
from seedmint.service.batch.storage.local import LocalOutput
from seedmint.service.places.file_systems import missing_library

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/?)")
_VOLATILE = ("memory",)  # protocols whose files end with the process


def _check_url(url: str) -> None:
    """Refuse a malformed URL, which would become the name of a local folder, and storage in the memory of this process.

    Raises:
        InvalidOutputError: The URL is malformed, or its storage ends with the process.
    """
    if "::" in url:
        raise InvalidOutputError(
            f"{url} is a chain of URLs: use one URL, such as s3://bucket/prefix, or a folder",
            field="out",
            reason="malformed_url",
        )
    scheme = _SCHEME.match(url)
    if scheme and "://" not in url and (scheme[2] or scheme[1].lower() in fsspec.available_protocols()):
        rest = url[scheme.end(1) + 1 :].lstrip("/")
        raise InvalidOutputError(
            f"{url} has too few slashes: write {scheme[1]}://{rest}, or ./{url} for a folder",
            field="out",
            reason="malformed_url",
        )
    if scheme and scheme[1].lower() in _VOLATILE:
        raise InvalidOutputError(
            f"{url} is in the memory of this process and would be lost: use a folder or an object store",
            field="out",
            reason="volatile_storage",
        )


def _check_is_writable(url: str) -> None:
    """Refuse the Hub as an output, because each file would be a commit.

    Raises:
        InvalidOutputError: The URL is on the Hub.
    """
    if url.lower().startswith("hf://"):
        raise InvalidOutputError(
            f"{url} cannot be written file by file: make the data set in a folder, then seedmint batch push FOLDER {url}",
            field="out",
            reason="hub_is_not_storage",
        )


def open_output(url: str) -> Output:
    """Open an output, which need not exist yet.

    Args:
        url: A path, or a URL of any kind that fsspec supports.

    Raises:
        InvalidOutputError: The URL is malformed, its kind is unknown, or its library is not installed.
    """
    if not url.strip():
        raise InvalidOutputError("is empty: use a folder, or . for the current folder", field="out", reason="empty")
    _check_url(url)
    _check_is_writable(url)
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise InvalidOutputError(f"{url}: {missing_library(url, error)}", field="out", reason="library_missing") from None
    except ValueError as error:
        raise InvalidOutputError(f"{url}: {error}", field="out", reason="unknown_protocol") from None
    if isinstance(system, LocalFileSystem):
        return LocalOutput(Path(path))
    from seedmint.service.batch.storage.object_store import ObjectStoreOutput

    return ObjectStoreOutput(system, path, url)

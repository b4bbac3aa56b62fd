"""File systems of fsspec for URLs, and the versions of their files."""

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from seedmint.models.errors import UserError
from seedmint.models.installation import install_command

# protocol -> the extra that installs its library
_EXTRAS = {
    **{"s3": "s3", "s3a": "s3", "hf": "hub", "gs": "gs", "gcs": "gs"},
    **{"az": "az", "abfs": "az", "abfss": "az", "adl": "az"},
}
# Entries of `info` of fsspec's file systems that change when a file changes.
_VERSION_KEYS = (
    "ETag",
    "etag",
    "VersionId",
    "blob_id",
    "generation",
    "md5Hash",
    "content_md5",
    "LastModified",
    "last_modified",
)
_MODIFIED_KEYS = ("LastModified", "last_modified", "updated", "mtime", "created")


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path of the URL in it.

    Args:
        url: The URL.

    Raises:
        UserError: The library of the URL is not installed, or there is no such protocol.
    """
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
        return system, path
    except ImportError as error:
        raise UserError(missing_library(url, error), field="model", reason="missing_package") from None
    except ValueError as error:  # fsspec knows no such protocol
        raise UserError(f"{url}: {error}", field="model", reason="unknown_protocol") from None


def missing_library(url: str, error: ImportError) -> str:
    """Return a message that names the library of a URL, with the command that installs it.

    Args:
        url: The URL.
        error: Why the library cannot be imported.
    """
    protocol = url.partition("://")[0]
    extra = _EXTRAS.get(protocol)
    return f"the library for {protocol}:// is not installed: {install_command(extra) if extra else error}"


def version_of(info: dict[str, Any]) -> str | None:
    """Return a text that changes when a file changes, or None if the file system reports no such text.

    Args:
        info: What the file system says about the file.
    """
    found = {key: str(info[key]) for key in _VERSION_KEYS if info.get(key)}
    return repr(sorted((found | {"size": str(info.get("size"))}).items())) if found else None


def modified_of(info: dict[str, Any]) -> float | None:
    """Return the time of the last change of a file in seconds since 1970, or None if the file system does not report the time.

    Args:
        info: What the file system says about the file.
    """
    for key in _MODIFIED_KEYS:
        value = info.get(key)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str) and (parsed := _parse_time(value)) is not None:
            return parsed
    return None


def digest_of_info(info: dict[str, Any]) -> str | None:
    """Return the SHA-256 of a file, or None if the file system does not report the digest. The Hub reports it.

    Args:
        info: What the file system says about the file.
    """
    large_file = info.get("lfs")
    digest = large_file.get("sha256") if isinstance(large_file, dict) else None
    return digest if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) else None


def _parse_time(text: str) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(text).timestamp()
        except ValueError:
            continue
    return None

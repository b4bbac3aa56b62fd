"""Finds the file of a generator by name, path or URL, and reads the file."""

import re
import warnings
from pathlib import Path
from typing import Any

from seedmint.download_cache import DownloadCache
from seedmint.models.directory import find_generator, locate_version, models_directory
from seedmint.models.errors import UserError, one_line
from seedmint.models.installation import install_command

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII)
_PINNED_URL = re.compile(r"(?P<url>.+)@(?P<digest>[0-9a-f]{12,64})", re.ASCII)
_EXTRAS = {"s3": "s3", "s3a": "s3", "hf": "hub"}  # protocol -> the extra that installs its library
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


def resolve_source(model: str | Path, models: str | Path | None = None) -> tuple[str, str | None]:
    """Find the file of a generator.

    Args:
        model: A name, a path, or a URL. A name and a URL may end with a version: `NAME@DIGEST`, `URL@DIGEST`.
        models: Directory of generator files; None for `SEEDMINT_MODELS`, or else the default directory.

    Returns:
        The path or URL of the file, and the expected digest or its first digits; None if any version is accepted.

    Raises:
        UserError: There is no such file.
    """
    if isinstance(model, Path):
        return str(find_generator(f"./{model}" if not model.is_absolute() else str(model), Path())), None
    if _URL.match(model):
        pinned = _PINNED_URL.fullmatch(model)
        return (model, None) if pinned is None else (pinned["url"], pinned["digest"])
    path, digest = locate_version(model, models_directory() if models is None else Path(models))
    return str(path), digest


def read_source(source: str, digest: str | None = None) -> bytes:
    """Read a generator file from a path or a URL. Files of URLs are kept in the cache directory of the user.

    Args:
        source: A path, or a URL that fsspec can read.
        digest: Digest of the file, or its first digits, if known. A file in the cache is then used without network access.

    Raises:
        UserError: The file is not regular, is larger than 2 GiB, cannot be downloaded, or the package for the URL is not
            installed.
        OSError: The file cannot be read.
    """
    from seedmint.models.runtime.generator_file import read_content

    if not _URL.match(source):
        return read_content(Path(source))
    cache = DownloadCache(_cache_directory())
    cached = None if digest is None else cache.find(digest)
    if cached is not None:
        return cached
    system, path = _file_system(source)
    try:
        system.invalidate_cache()  # listings of earlier calls
        version = _version(system.info(path))
        cached = None if version is None else cache.lookup(source, version)
        content = cached if cached is not None else _download(system, path)
    except Exception as error:  # each file system has its own errors
        reason = "not_found" if isinstance(error, FileNotFoundError) else "download_failed"
        raise UserError(
            f"{source} cannot be read: {one_line(error) or type(error).__name__}", field="model", reason=reason
        ) from error
    if version is not None and cached is None:
        try:
            cache.store(source, version, content)
        except OSError as error:
            warnings.warn(f"the downloaded generator is not kept: {error}", stacklevel=2)
    return content


def local_file(source: str, digest: str | None = None) -> Path:
    """Return a local file with the content of a path or a URL. The file of a URL is in the cache directory of the user.

    Args:
        source: As for `read_source`.
        digest: As for `read_source`.

    Raises:
        UserError: As for `read_source`.
        OSError: The file cannot be read, or the cache directory is not writable.
    """
    if not _URL.match(source):
        return Path(source)
    return DownloadCache(_cache_directory()).keep(read_source(source, digest))


def _cache_directory() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("seedmint") / "generators"


def _file_system(url: str) -> tuple[Any, str]:
    protocol = url.partition("://")[0]
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
        return system, path
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        cure = f": {install_command(extra)}" if extra else f": {error}"
        raise UserError(
            f"the library for {protocol}:// is not installed{cure}", field="model", reason="missing_package"
        ) from None
    except ValueError as error:  # fsspec knows no such protocol
        raise UserError(f"{url}: {error}", field="model", reason="unknown_protocol") from None


def _version(info: dict[str, Any]) -> str | None:
    """Return a text that changes when the file changes, or None if the file system reports no such text."""
    found = {key: str(info[key]) for key in _VERSION_KEYS if info.get(key)}
    return repr(sorted((found | {"size": str(info.get("size"))}).items())) if found else None


def _download(system: Any, path: str) -> bytes:
    from seedmint.models.runtime.generator_file import MAX_FILE_BYTES, GeneratorError

    with system.open(path, "rb") as file:
        content: bytes = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise GeneratorError("larger than 2 GiB: not a generator file", reason="too_large_file")
    return content

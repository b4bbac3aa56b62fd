"""Finds the file of a generator by name, path or URL, and reads the file."""

import os
import re
import warnings
from pathlib import Path
from typing import Any

from seedmint.models.directory import find_generator, locate_version, models_directory, split_version
from seedmint.models.errors import UserError, one_line
from seedmint.models.places import default_cache, is_possible_path, is_url, split_places
from seedmint.service.places.download_cache import DownloadCache
from seedmint.service.places.file_systems import file_system, version_of

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII)
_PINNED_URL = re.compile(r"(?P<url>.+)@(?P<digest>[0-9a-f]{12,64})", re.ASCII)


def resolve_source(model: str | Path, models: str | Path | None = None) -> tuple[str, str | None]:
    """Find the file of a generator.

    Args:
        model: A name, a path, or a URL. A name and a URL may end with a version: `NAME@DIGEST`, `URL@DIGEST`.
        models: Places of generator files: folders and URLs, separated by commas; None for `SEEDMINT_MODELS`, or else the
            default directory.

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
    if isinstance(models, Path):
        places: tuple[str, ...] = (str(models),)
    else:
        places = split_places(os.environ.get("SEEDMINT_MODELS", "") if models is None else models)
    if len(places) > 1 or any(map(is_url, places)):
        from seedmint.service.places.lookup import find_file
        from seedmint.service.settings import read_settings

        settings = read_settings(os.environ | {"SEEDMINT_MODELS": ",".join(places)})
        return str(find_file(model, settings)), split_version(model)[1]
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
        if not is_possible_path(source):
            raise UserError(f"no generator file {one_line(source)}", field="model", reason="not_found")
        return read_content(Path(source))
    cache = DownloadCache(default_cache())
    cached = None if digest is None else cache.find(digest)
    if cached is not None:
        return cached
    system, path = file_system(source)
    try:
        system.invalidate_cache()  # listings of earlier calls
        version = version_of(system.info(path))
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
    return DownloadCache(default_cache()).keep(read_source(source, digest))


def _download(system: Any, path: str) -> bytes:
    from seedmint.models.runtime.generator_file import MAX_FILE_BYTES, GeneratorError

    with system.open(path, "rb") as file:
        content: bytes = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise GeneratorError("larger than 2 GiB: not a generator file", reason="too_large_file")
    return content

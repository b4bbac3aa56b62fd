"""Finds the file of a generator by name, path or URL, and reads the file."""

import re
from pathlib import Path

from seedmint.models.directory import find_generator, models_directory
from seedmint.models.errors import UserError

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII)
_PINNED = re.compile(r"(?P<name>[^/@]+)@(?P<digest>[0-9a-f]{12,64})", re.ASCII)


def resolve_source(model: str | Path, models: str | Path | None = None) -> tuple[str, str | None]:
    """Find the file of a generator.

    Args:
        model: A name, a name with a version (`NAME@DIGEST`), a path, or a URL.
        models: Directory of generator files; None for `SEEDMINT_MODELS`, or else the shipped generators.

    Returns:
        The path or URL of the file, and the expected digest or its first digits; None if any version is accepted.

    Raises:
        UserError: There is no such file.
    """
    if isinstance(model, Path):
        return str(find_generator(f"./{model}" if not model.is_absolute() else str(model), Path())), None
    if _URL.match(model):
        return model, None
    directory = models_directory() if models is None else Path(models)
    pinned = _PINNED.fullmatch(model)
    if pinned is None:
        return str(find_generator(model, directory)), None
    name, digest = pinned["name"], pinned["digest"]
    versioned = directory / f"{name}@{digest[:12]}.onnx"
    return str(versioned if versioned.is_file() else find_generator(name, directory)), digest


def read_source(source: str) -> bytes:
    """Read a generator file from a path or a URL.

    Args:
        source: A path, or a URL that fsspec can read.

    Raises:
        UserError: The file is not regular, is larger than 2 GiB, or the package for the URL is not installed.
        OSError: The file cannot be read.
    """
    from seedmint.models.runtime.generator_file import MAX_FILE_BYTES, read_content

    if not _URL.match(source):
        return read_content(Path(source))
    try:
        import fsspec

        with fsspec.open(source, "rb") as file:
            content: bytes = file.read(MAX_FILE_BYTES + 1)
    except ImportError as error:
        raise UserError(
            f"{source} needs a package that is not installed: {error}", field="model", reason="missing_package"
        ) from None
    except ValueError as error:  # fsspec knows no such protocol
        raise UserError(f"{source}: {error}", field="model", reason="unknown_protocol") from None
    if len(content) > MAX_FILE_BYTES:
        raise UserError(f"{source} is larger than 2 GiB", field="model", reason="too_large")
    return content

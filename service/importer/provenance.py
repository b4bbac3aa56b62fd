"""Describes the origin of an imported generator for its card: files, program, options, difference."""

import hashlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import onnx

from seedmint.models.card import Card
from seedmint.models.errors import one_line
from seedmint.models.provenance import Import, OriginalFile
from seedmint.models.runtime.generator_file import digest_of
from seedmint.service.importer.external_data import external_files
from seedmint.service.importer.options import ImportOptions
from seedmint.service.importer.source_model import opset_version

_MAX_ORIGINALS = 16
_NOT_OPTIONS = {"name", "title", "data", "data_licence", "weights_licence", "reference"}  # the card has them, or they are large


def original_files(content: bytes, folder: Path) -> list[OriginalFile]:
    """Describe an ONNX file and the files of its external data.

    Args:
        content: The bytes of an ONNX file that has been read already.
        folder: The folder of the file.

    Raises:
        OSError: A file cannot be read.
    """
    model = onnx.load_model_from_string(content)
    producer = one_line(f"{model.producer_name} {model.producer_version}".strip(), 150) or None
    files = [OriginalFile(sha256=digest_of(content), producer=producer, opset=opset_version(model) or None)]
    for path in external_files(model, folder)[: _MAX_ORIGINALS - 1]:
        files.append(original_file(path))
    return files


def original_file(path: Path, producer: str | None = None) -> OriginalFile:
    """Describe a file that is not ONNX.

    Args:
        path: The file.
        producer: Program that wrote the file; None if unknown.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return OriginalFile(sha256=hashlib.file_digest(file, "sha256").hexdigest(), producer=producer)


def given_options(options: ImportOptions) -> dict[str, Any]:
    """Return the options that differ from their defaults, as JSON.

    Args:
        options: Options of the import.
    """
    defaults = asdict(ImportOptions(name=options.name, title=options.title))
    names = [field.name for field in fields(options) if field.name not in _NOT_OPTIONS]
    given = {name: getattr(options, name) for name in names if getattr(options, name) != defaults[name]}
    if "constants" in given:
        given["set"] = {name: list(values) for name, values in given.pop("constants").items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def with_origin(card: Card, files: list[OriginalFile], options: dict[str, Any], difference: float | None) -> Card:
    """Return a card with the origin of its generator.

    Args:
        card: The card.
        files: The original files; empty if there are none.
        options: Options of the import, as JSON.
        difference: Greatest difference from the outputs of the original; None without a comparison.
    """
    origin = Import(originals=tuple(files[:_MAX_ORIGINALS]), options=options, difference=difference)
    return card.model_copy(update={"provenance": card.provenance.model_copy(update={"imported": origin})})

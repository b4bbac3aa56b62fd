"""Imports of ONNX files that tests hold in memory."""

import tempfile
from pathlib import Path

from seedmint.service.importer.importing import ImportedGenerator, import_files
from seedmint.service.importer.options import ImportOptions


def import_content(content: bytes, options: ImportOptions) -> ImportedGenerator:
    """Write an ONNX file into a folder of its own, and import the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.onnx"
        path.write_bytes(content)
        return import_files([path], options)

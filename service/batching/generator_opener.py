"""Opens and tests the generator of an open file."""

from pathlib import Path

from seedmint.models.errors import UserError
from seedmint.models.runtime.generator_file import check_name
from seedmint.service.importer.file_kinds import check_file_kind
from seedmint.service.runtime.generator import Generator, open_generator
from seedmint.service.settings import Settings


def open_descriptor(descriptor: int, stem: str, settings: Settings) -> Generator:
    """Open and test one file.

    Args:
        descriptor: The open file.
        stem: Name of the file without suffix.
        settings: The settings of the server.

    Raises:
        UserError: The file is refused.
        OSError: The file cannot be read.
    """
    try:
        generator = open_generator(descriptor, settings.provider, settings.threads, settings.max_batch)
    except UserError as error:
        if error.reason == "not_onnx":
            names = [folder / f"{stem}.onnx" for folder in settings.folders]
            shown = next((path for path in names if path.exists()), Path(f"{stem}.onnx"))
            check_file_kind(Path(f"/dev/fd/{descriptor}"), shown)  # raises if the file has another known format
        raise
    check_name(generator.card, Path(f"{stem}.onnx"), generator.digest)
    return generator

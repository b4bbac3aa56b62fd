"""Finds generator files by name or path."""

import os
from difflib import get_close_matches
from pathlib import Path

from seedmint.models.errors import UserError

SHIPPED = Path(__file__).resolve().parent


def models_directory() -> Path:
    """Return the models directory: `$SEEDMINT_MODELS`, or the directory of the shipped generators."""
    return Path(os.environ.get("SEEDMINT_MODELS") or SHIPPED)


def find_generator(name_or_path: str, directory: Path) -> Path:
    """Return the file of a generator.

    Args:
        name_or_path: A name, or a path: text with a slash or with the suffix .onnx.
        directory: The models directory, where names are looked up.

    Raises:
        UserError: There is no such file. The message has the most similar name in `directory`, or all names.
    """
    if "/" in name_or_path or name_or_path.endswith(".onnx"):
        path = Path(name_or_path)
        if not path.is_file():
            raise UserError(f"no generator file {path}", field="model", reason="not_found")
        return path
    path = directory / f"{name_or_path}.onnx"
    if not path.is_file():
        names = sorted(file.stem for file in directory.glob("*.onnx"))
        nearest = get_close_matches(name_or_path, names, n=1)
        cure = f"did you mean {nearest[0]}?" if nearest else f"available: {', '.join(names) or 'none'}"
        raise UserError(f"no generator {name_or_path!r} in {directory}: {cure}", field="model", reason="not_found")
    return path

"""Where generator files lie."""

import os
from pathlib import Path

from seedmint.models.errors import UserError

SHIPPED = Path(__file__).parent


def models_directory() -> Path:
    """`$SEEDMINT_MODELS`, or the directory of this package, where the shipped generators are."""
    return Path(os.environ.get("SEEDMINT_MODELS") or SHIPPED)


def find_generator(name_or_path: str, directory: Path) -> Path:
    """The file that a generator's name or a path means: anything with a slash or ending in .onnx is a path.

    Raises:
        UserError: there is none, naming those that there are.
    """
    if "/" in name_or_path or name_or_path.endswith(".onnx"):
        path = Path(name_or_path)
        if not path.is_file():
            raise UserError(f"no generator file {path}", field="model", reason="not_found")
        return path
    path = directory / f"{name_or_path}.onnx"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in directory.glob("*.onnx"))) or "none"
        raise UserError(f"no generator {name_or_path!r} in {directory} (there: {there})", field="model", reason="not_found")
    return path

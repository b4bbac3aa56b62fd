"""Versions of Seedmint and of the libraries that determine a run's numbers."""

import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seedmint.models.version import __version__

_TOP_LEVEL = ("rev-parse", "--show-toplevel")
_DESCRIBE = ("describe", "--always", "--dirty", "--exclude=*")


def code_version() -> str:
    """Return Seedmint's version. A git checkout adds the commit, and `-dirty` if it has changes."""
    root = Path(__file__).resolve().parents[2]
    try:
        top_level, commit = (_git(root, *arguments) for arguments in (_TOP_LEVEL, _DESCRIBE))
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{commit}" if Path(top_level) == root else __version__


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()


def library_versions() -> dict[str, str]:
    """Return the versions of NumPy and PyTorch."""
    return {name: version(name) for name in ("numpy", "torch")}


def version_changes(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Return a note if the code or a library is not that of a checkpoint: the resumed run may then compute other bits.

    Args:
        metadata: The metadata of the checkpoint.
    """
    saved = {"seedmint": metadata["code_version"], **metadata["libraries"]}
    current = {"seedmint": code_version(), **library_versions()}
    changed = [f"{name} {saved.get(name)}, now {new}" for name, new in current.items() if saved.get(name) != new]
    if not changed:
        return ()
    return (f"the checkpoint was written by {'; '.join(changed)}: the weights may differ from those of an uninterrupted run",)

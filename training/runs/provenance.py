"""Which code and which libraries compute."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_TOP = ("rev-parse", "--show-toplevel")
_COMMIT = ("describe", "--always", "--dirty", "--exclude=*")


def code_version() -> str:
    """Seedmint's version, with the commit where it runs from a git checkout, and `-dirty` where that has changes."""
    try:
        release = version("seedmint")
    except PackageNotFoundError:
        release = "unknown"
    root = Path(__file__).parents[3]
    try:
        top, commit = (_git(root, *arguments) for arguments in (_TOP, _COMMIT))
    except (OSError, subprocess.SubprocessError):
        return release
    return f"{release}+{commit}" if Path(top) == root else release


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a run's numbers depend on."""
    return {name: version(name) for name in ("numpy", "torch")}

"""Which code and which libraries compute."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def code_version() -> str:
    """Seedmint's version, with the commit where it runs from a git checkout, and `-dirty` where that has changes."""
    try:
        release = version("seedmint")
    except PackageNotFoundError:
        release = "unknown"
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return release
    return f"{release}+{commit}"


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a run's numbers depend on."""
    return {name: version(name) for name in ("numpy", "torch")}

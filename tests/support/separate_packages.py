"""Packages that only some slow tests use, in folders of their own."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def separate_packages(name: str, packages: tuple[str, ...]) -> Path:
    """Return a folder with packages, without their requirements. Skips the test if they cannot be downloaded.

    Args:
        name: Name of the folder.
        packages: Requirements of pip with versions.
    """
    key = hashlib.sha256("\n".join((sys.version, *packages)).encode()).hexdigest()[:12]
    folder = _ROOT / "build" / f"{name}-{key}"
    if folder.is_dir():
        return folder
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run([*pip, "--target", temporary, *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(temporary, ignore_errors=True)
        pytest.skip(f"pip could not download {', '.join(packages[:2])}: {done.stderr.strip().splitlines()[-1]}")
    try:
        temporary.rename(folder)
    except OSError:  # another process of the tests was first
        if not folder.is_dir():
            raise
        shutil.rmtree(temporary)
    return folder

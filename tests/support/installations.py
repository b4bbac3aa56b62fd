"""Installs Seedmint in fresh virtual environments, from a copy of the source tree."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SOURCES = ("seedmint", "models", "service", "training", "pyproject.toml", "README.md", "LICENSE")
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
_NO_NETWORK = ("--no-index", "--no-deps", "--no-build-isolation")


def uv(
    *arguments: object, environment: Mapping[str, str] = os.environ, folder: Path | None = None, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run uv, which installs packages in a fraction of the processor time of pip. All tests share its downloads.

    Args:
        arguments: The arguments.
        environment: The environment variables. `PIP_INDEX_URL` names the package index for uv, too.
        folder: The working directory; None for that of this process.
        text: The standard input.
    """
    variables = {"UV_CACHE_DIR": str(ROOT / "build" / "uv")} | dict(environment)
    if "PIP_INDEX_URL" in variables:
        variables.setdefault("UV_DEFAULT_INDEX", variables["PIP_INDEX_URL"])
    command = [sys.executable, "-m", "uv", "--quiet", "--no-progress", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=variables, input=text, capture_output=True, text=True, check=False)


def copy_source(directory: Path) -> Path:
    """Copy the files that an installation needs, with symbolic links. A build writes files next to the source.

    Args:
        directory: Directory of the copy; it does not exist yet.
    """
    directory.mkdir()
    for name in _SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, directory / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, directory / name)
    return directory


def build_wheel(source: Path, directory: Path) -> Path:
    """Build a wheel.

    Args:
        source: A source tree or a source distribution.
        directory: Directory of the wheel.
    """
    subprocess.run([*_PIP, "wheel", *_NO_NETWORK, "--wheel-dir", str(directory), str(source)], check=True)
    (wheel,) = directory.glob("*.whl")
    return wheel


def build_sdist(source: Path, directory: Path) -> Path:
    """Build a source distribution and unpack it into a source tree without symbolic links.

    Args:
        source: A source tree.
        directory: Directory of the source distribution; it does not exist yet.
    """
    program = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, str(directory)], cwd=source, check=True, capture_output=True)
    (archive,) = directory.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        assert not any(member.issym() or member.islnk() for member in file)
        file.extractall(directory, filter="data")
    return directory / archive.name.removesuffix(".tar.gz")


def install(directory: Path, *requirement: str) -> Path:
    """Create a virtual environment with Seedmint. It imports the dependencies from the environment of this Python.

    Args:
        directory: Directory of the virtual environment.
        requirement: Arguments of `uv pip install`.

    Returns:
        The Python of the virtual environment.
    """
    venv.EnvBuilder(symlinks=True).create(directory)
    python = directory / "bin" / "python"
    (packages,) = directory.glob("lib/python*/site-packages")
    # A line of a .pth file adds a directory, but does not read the .pth files of this directory. So the editable installation
    # of this Python is not visible.
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(paths) + "\n")
    done = uv("pip", "install", "--python", python, *_NO_NETWORK, *requirement)
    assert done.returncode == 0, done.stderr
    return python

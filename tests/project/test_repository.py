"""Rules for all files of the repository."""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
_REGISTRY = re.compile(r"files\.pythonhosted|index-url\s*=?\s*(https?|file):", re.IGNORECASE)
_PYPI = re.compile(r"pypi\.org")
# Paths of home directories and of temporary directories of one machine.
_MACHINE_PATH = re.compile(r"/(?:work|home|Users)/[A-Za-z0-9_]+/|/root/|file:///(?!tmp/)")
_PACKAGES = ("seedmint", "models", "service", "training")
_LINKS = {
    # One namespace, while the folders stay at the top of the repository.
    "seedmint/models": "../models",
    "seedmint/service": "../service",
    "seedmint/training": "../training",
}


def tracked_files() -> list[Path]:
    command = ["git", "ls-files", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def texts() -> dict[str, str]:
    """Return the text of every tracked text file except this one."""
    found = {}
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content[:8000] and path != Path(__file__):
            found[str(path.relative_to(ROOT))] = content.decode(errors="replace")
    return found


def test_no_file_contains_a_path_of_a_machine_or_the_url_of_a_package_index():
    for name, text in texts().items():
        for pattern in (_REGISTRY, _MACHINE_PATH):
            match = pattern.search(text)
            assert match is None, f"{name}: {match}"
        if not name.startswith(("tests/", ".github/")):
            assert not _PYPI.search(text), name


def test_the_symbolic_links_are_known():
    command = ["git", "ls-files", "--stage"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    links = [line.split("\t")[1] for line in lines if line.startswith("120000 ")]
    assert {link: str((ROOT / link).readlink()) for link in links} == _LINKS


def test_each_package_starts_with_one_line_about_its_purpose():
    for package in _PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if not (path.parent / "__init__.py").is_file():
                raise AssertionError(f"{path.parent} has no __init__.py")
        for path in (ROOT / package).rglob("__init__.py"):
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert docstring, path
            first, _, rest = docstring.partition("\n")
            assert first.endswith("."), path
            assert not rest or rest.startswith("\n"), path

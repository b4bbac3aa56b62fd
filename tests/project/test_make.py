"""`make serve` repairs a virtual environment whose creation failed, and installs one ONNX Runtime."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A Python whose `venv` makes a Python that logs its arguments.
_PYTHON = """#!/bin/sh
case "$*" in
  "-m venv --clear "*)
    rm -rf "$4"
    mkdir -p "$4/bin"
    printf '#!/bin/sh\\necho "$*" >>%s\\n' "$LOG" >"$4/bin/python"
    chmod +x "$4/bin/python";;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(_PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make(checkout: Path, *arguments: str) -> list[str]:
    """Run make and return the commands of the Python of the virtual environment."""
    log = checkout / "log"
    log.write_text("")
    command = ["make", f"PYTHON={checkout / 'python'}", *arguments]
    done = subprocess.run(command, cwd=checkout, env={"PATH": "/usr/bin:/bin", "LOG": str(log)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [
        line.partition("pip --quiet --disable-pip-version-check ")[2]
        for line in log.read_text().splitlines()
        if "--quiet" in line
    ]


@pytest.mark.parametrize("state", ["none", "broken", "dangling"])
def test_an_environment_without_pip_is_made_anew(checkout: Path, state: str):
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    if state == "broken":
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
    elif state == "dangling":
        python.symlink_to("/nonexistent/python")
        (checkout / ".venv" / "serve.done").touch()
    assert make(checkout, ".venv/serve.done", "RUNTIME=cpu")[-1] == "install --no-compile --editable .[serve,cpu]"
    assert (checkout / ".venv" / "serve.done").exists()
    assert make(checkout, ".venv/serve.done", "RUNTIME=cpu") == []  # nothing is left to do


@pytest.mark.parametrize(("runtime", "other"), [("cpu", "onnxruntime-gpu"), ("gpu", "onnxruntime")])
def test_the_other_onnx_runtime_is_removed_first(checkout: Path, runtime: str, other: str):
    expected = [f"uninstall --yes {other}", f"install --no-compile --editable .[test,{runtime}]"]
    assert make(checkout, ".venv/test.done", f"RUNTIME={runtime}") == expected

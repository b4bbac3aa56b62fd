"""The packages of the image on an emulated aarch64 processor: the shipped generators and the files of their images."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from seedmint.models.directory import SHIPPED
from tests.support import commandline
from tests.support.installations import ROOT

_EMULATOR = "qemu-aarch64"
_FOLDER = ROOT / "build" / "aarch64"
_INSTALLED, _LOCK = _FOLDER / "installed.txt", ROOT / "deploy" / "image" / "requirements" / "cpu.txt"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1300),
    pytest.mark.skipif(shutil.which(_EMULATOR) is None, reason="needs qemu-user"),
    pytest.mark.skipif(
        not _INSTALLED.exists() or _INSTALLED.read_bytes() != _LOCK.read_bytes(),
        reason="run tests/support/fetch_aarch64.sh build/aarch64",
    ),
]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command of Seedmint that starts no other process. The kernel would start a child process without the emulator."""
    environment = {
        "HOME": os.environ["XDG_CACHE_HOME"],
        "OMP_NUM_THREADS": "1",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{_FOLDER / 'packages'}:{ROOT}",
        "QEMU_LD_PREFIX": str(_FOLDER / "system"),
        "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"],
    }
    command = [_EMULATOR, "-cpu", "neoverse-n1", _FOLDER / "system/usr/bin/python3", "-s", "-m", "seedmint", *arguments]
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=1200)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_references_are_exact():
    result = run("models", "verify", "--json", "--models", SHIPPED)
    assert result.returncode in (0, 1), result.stderr
    outcomes = json.loads(result.stdout)
    assert len(outcomes) == len(list(SHIPPED.glob("*.onnx"))) > 0
    assert [outcome["name"] for outcome in outcomes if outcome["determinism"] != "exact"] == []
    assert result.returncode == 0


def test_the_files_are_the_same(tmp_path: Path):
    arguments = ("sample", "icons", "--seeds", "0-199", "--models", str(SHIPPED), "--out")
    result = run(*arguments, tmp_path / "emulated")
    assert result.returncode == 0, result.stderr
    commandline.run(*arguments, str(tmp_path / "native"))
    native = files(tmp_path / "native")
    assert len(native) == 200
    assert files(tmp_path / "emulated") == native

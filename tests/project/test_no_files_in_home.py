"""Nothing is written below $HOME: no telemetry of ONNX Runtime, and no files of other libraries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_LIMIT_SECONDS = 120

COMMANDS = {
    "sample": ["sample", "digits", "--seeds", "0-3", "--out", "OUT.png"],
    "models": ["models", "list"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_writes_nothing_in_home(name: str, tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    arguments = [part.replace("OUT", str(tmp_path / "out")) for part in COMMANDS[name]]
    hidden = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "BENTOML_HOME"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden} | {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "seedmint", *arguments], env=environment, capture_output=True, text=True, timeout=_LIMIT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert [str(path.relative_to(home)) for path in home.rglob("*")] == []

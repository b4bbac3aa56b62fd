"""The commands `doctor` and `completion`, and `models list --json`."""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

from seedmint.cli import cli, main
from seedmint.service.cli import doctor_checks
from tests.support import generators
from tests.support.commandline import run


def examined(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, str | None]]]:
    """Return the exit status of `doctor --json` and its checks by name."""
    with pytest.raises(SystemExit) as exited:
        main(["doctor", "--json", *arguments])
    status = exited.value.code
    assert isinstance(status, int)
    return status, {check["name"]: check for check in json.loads(capsys.readouterr().out)}


def test_doctor_finds_nothing_wrong_with_valid_generators(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    generators.write(tmp_path, "one")
    status, checks = examined(capsys, "--models", str(tmp_path))
    assert status == 0
    assert checks["model one"]["state"] == "ok"
    assert {check["state"] for check in checks.values()} <= {"ok", "note"}
    assert {"settings", "libraries", "processor", "memory", "provider", "port", "telemetry"} <= checks.keys()


def test_doctor_names_the_error_and_the_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    generators.write(tmp_path, "one")
    (tmp_path / "broken.onnx").write_bytes(b"no generator")
    monkeypatch.setenv("SEEDMINT_API_KEY_FILE", "/keys")
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    status, checks = examined(capsys, "--models", str(tmp_path))
    failed = {name for name, check in checks.items() if check["state"] == "failed"}
    assert status == 1
    assert failed == {"settings", "telemetry", "model broken"}
    assert all(checks[name]["cure"] for name in failed)


def test_doctor_finds_two_packages_of_onnx_runtime(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    generators.write(tmp_path, "one")
    monkeypatch.setattr(doctor_checks, "version", lambda _: "1.31.1")
    status, checks = examined(capsys, "--models", str(tmp_path))
    assert (status, checks["ONNX Runtime"]["state"]) == (1, "failed")
    assert checks["ONNX Runtime"]["cure"]


def test_doctor_reports_an_empty_directory_and_a_port_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("SEEDMINT_PORT", str(other.getsockname()[1]))
        status, checks = examined(capsys, "--models", str(tmp_path))
    assert (status, checks["models"]["state"], checks["port"]["state"]) == (1, "failed", "note")
    status, checks = examined(capsys, "--models", str(tmp_path / "absent"))
    assert (status, checks["models"]["state"]) == (1, "failed")


def test_doctor_reports_settings_that_are_invalid_together(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("SEEDMINT_MAX_BATCH", "4096")
    assert examined(capsys)[1]["settings"]["state"] == "failed"


def test_models_list_prints_json(tmp_path: Path):
    path = generators.write(tmp_path, "one")
    (tmp_path / "broken.onnx").write_bytes(b"no generator")
    broken, one = json.loads(run("models", "list", "--json", "--models", str(tmp_path)))
    assert broken["file"] == "broken.onnx"
    assert broken["error"]
    assert (one["file"], one["card"]["name"]) == ("one.onnx", "one")
    assert one["digest"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("words", "expected"), [(["seedmint", "ser"], "serve"), (["seedmint", "serve", "--po"], "--port")])
def test_bash_completes_commands_and_options(tmp_path: Path, words: list[str], expected: str):
    program = tmp_path / "seedmint"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m seedmint "$@"\n')
    program.chmod(0o755)
    script = f'eval "$({program} completion bash)"; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; '
    script += f'_seedmint_completion {program}; echo "${{COMPREPLY[@]}}"'
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected]


def test_a_misspelt_command_names_the_nearest_one():
    with pytest.raises(click.NoSuchCommand) as raised:
        cli.main(["trian"], standalone_mode=False)
    assert raised.value.possibilities == ["train"]

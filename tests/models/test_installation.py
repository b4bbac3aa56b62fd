"""The command that adds an extra suits the program that installed Seedmint."""

import json
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from seedmint.models import installation
from seedmint.models.installation import Installer, command_text, install_command, installer, is_installed


def _pipx(prefix: Path, source: str) -> None:
    (prefix / "pipx_metadata.json").write_text(json.dumps({"main_package": {"package_or_url": source}}))


def _uv_tool(prefix: Path, extras: str) -> None:
    (prefix / "uv-receipt.toml").write_text(f'[tool]\nrequirements = [{{ name = "seedmint"{extras} }}]\n')


def test_the_installer_is_known_from_the_environment(tmp_path: Path):
    assert installer(tmp_path) == "pip"
    _pipx(tmp_path, "seedmint")
    assert installer(tmp_path) == "pipx"
    (tmp_path / "pipx_metadata.json").unlink()
    _uv_tool(tmp_path, "")
    assert installer(tmp_path) == "uv tool"
    assert installer(tmp_path / "archive-v0" / "x") == "uvx"


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("pip", "pip install 'seedmint[s3]'"),
        ("uv", "uv pip install 'seedmint[s3]'"),
        ("uvx", "uvx --from 'seedmint[s3]' seedmint"),
        ("pipx", "pipx install --force 'seedmint[serve,cpu,s3]'"),
        ("uv tool", "uv tool install 'seedmint[serve,cpu,s3]'"),
    ],
)
def test_the_command_keeps_the_extras_that_the_program_would_remove(program: Installer, command: str, tmp_path: Path):
    _pipx(tmp_path, "seedmint[serve,cpu]")
    _uv_tool(tmp_path, ', extras = ["serve", "cpu"]')
    assert command_text(program, ["s3"], "seedmint", tmp_path) == command


def test_a_damaged_record_loses_no_command(tmp_path: Path):
    for name in ("pipx_metadata.json", "uv-receipt.toml"):
        (tmp_path / name).write_text("[1]")
    assert command_text("pipx", ["s3"], "seedmint", tmp_path) == "pipx install --force 'seedmint[s3]'"
    assert command_text("uv tool", ["s3"], "seedmint", tmp_path) == "uv tool install 'seedmint[s3]'"


@pytest.mark.parametrize("source", ["seedmint", "/a folder/seedmint-0.1.0.whl", "https://example.org/seedmint-0.1.0.whl"])
def test_a_wheel_or_a_url_is_installed_again(source: str, tmp_path: Path):
    text = command_text("pip", ["serve", "cpu"], source, tmp_path).removeprefix("pip install ").strip("'")
    if "/" in source and "://" not in source:
        assert text == f"{source}[serve,cpu]"
    else:
        requirement = Requirement(text)
        assert (requirement.name, requirement.extras, requirement.url) == (
            "seedmint",
            {"serve", "cpu"},
            source if ":" in source else None,
        )


def test_a_checkout_names_make_or_installs_itself():
    assert not is_installed()
    assert install_command("serve") == "make serve"
    assert install_command("train") == "make install"
    assert install_command("s3").endswith(f" -m pip install -e '{Path(__file__).parents[2]}[s3]'")


def test_onnx_runtime_is_added_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(installation, "installer", lambda: "pip")
    monkeypatch.setattr(installation, "_source", lambda: "seedmint")
    monkeypatch.setattr(installation, "find_spec", lambda _: None)
    assert install_command("serve") == "pip install 'seedmint[serve,cpu]'"
    assert install_command("client") == "pip install 'seedmint[client]'"
    assert install_command("gpu") == "pip install 'seedmint[gpu]'"

"""The command that adds an extra suits the program that installed Seedmint."""

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from seedmint.models import installation
from seedmint.models.installation import Installer, command_text, install_command, installer, is_installed, needs_extra


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


@pytest.mark.parametrize(("has_pip", "program"), [(False, "uv"), (True, "pip")])
def test_an_environment_of_uv_with_pip_is_one_of_pip(
    has_pip: bool, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(installation, "find_spec", lambda _: object() if has_pip else None)
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.9.1\n")
    assert installer(tmp_path) == program
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin/uv = 0.9.1\n")
    assert installer(tmp_path) == "pip"


@pytest.mark.parametrize(
    ("record", "source"),
    [
        (None, "seedmint"),
        ({"url": "file:" + "///a%20folder/seedmint.whl", "archive_info": {}}, "/a folder/seedmint.whl"),
        ({"url": "https://example.org/seedmint.whl", "archive_info": {}}, "https://example.org/seedmint.whl"),
        ({"url": "https://example.org/r.git", "vcs_info": {"vcs": "git"}}, "git+https://example.org/r.git"),
    ],
)
def test_the_source_is_that_of_the_installation(record: dict[str, object] | None, source: str, monkeypatch: pytest.MonkeyPatch):
    found = SimpleNamespace(read_text=lambda _: None if record is None else json.dumps(record))
    monkeypatch.setattr(installation, "distribution", lambda _: found)
    assert installation._source() == source


def test_a_copy_that_was_not_installed_is_named_like_the_package(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installation, "distribution", missing)
    assert installation._source() == "seedmint"


@pytest.mark.parametrize(("module", "extra"), [("fsspec.core", "s3"), ("onnxruntime", "cpu")])
def test_a_missing_package_names_the_extra(module: str, extra: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(installation, "install_command", lambda *extras: f"install {extras}")
    with pytest.raises(ModuleNotFoundError) as error, needs_extra("s3"):
        raise ModuleNotFoundError(name=module)
    assert error.value.name == module
    assert f"install {(extra,)}" in str(error.value)


@pytest.mark.parametrize("name", ["seedmint", "seedmint.nothing", None])
def test_a_missing_module_of_seedmint_is_an_error_of_the_program(name: str | None):
    original = ModuleNotFoundError("a bug", name=name)
    with pytest.raises(ModuleNotFoundError) as error, needs_extra("s3"):
        raise original
    assert error.value is original


def test_extras_of_different_commands_install_the_checkout():
    assert install_command("batch", "train") == "make install"
    assert "pip install -e" in install_command("serve", "train")
    assert "pip install -e" in install_command("s3", "hub")

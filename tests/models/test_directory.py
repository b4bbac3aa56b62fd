"""Generator files are found by name or path."""

import hashlib
import re
from pathlib import Path

import pytest

from seedmint.models import directory as directory_module
from seedmint.models.directory import copy_shipped, default_directory, find_generator, find_version, models_directory
from seedmint.models.errors import UserError


def test_a_name_is_looked_up_in_the_directory_and_a_path_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("one.onnx", "no_suffix"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert find_generator("one", tmp_path) == tmp_path / "one.onnx"
    for path in (str(tmp_path / "one.onnx"), "one.onnx", "./no_suffix"):
        assert find_generator(path, tmp_path / "elsewhere") == Path(path)


def test_a_version_is_found_by_its_digest(tmp_path: Path):
    new, old = (hashlib.sha256(content).hexdigest() for content in (b"new", b"old"))
    (tmp_path / "one.onnx").write_bytes(b"new")
    assert find_version(f"one@{new[:12]}", tmp_path) == find_version(f"one@{new}", tmp_path) == tmp_path / "one.onnx"
    with pytest.raises(UserError) as raised:
        find_version(f"one@{old[:12]}", tmp_path)
    assert (raised.value.field, raised.value.reason) == ("model", "unknown_version")
    (tmp_path / f"one@{old[:12]}.onnx").write_bytes(b"old")
    assert find_version(f"one@{old[:13]}", tmp_path) == tmp_path / f"one@{old[:12]}.onnx"
    with pytest.raises(UserError) as raised:
        find_version(f"one@{old[:11]}", tmp_path)
    assert raised.value.reason == "not_found"


@pytest.mark.parametrize("missing", ["two", "two.onnx", "./two"])
def test_a_missing_file_is_an_error(tmp_path: Path, missing: str):
    with pytest.raises(UserError) as raised:
        find_generator(missing, tmp_path)
    assert (raised.value.field, raised.value.reason) == ("model", "not_found")


def test_the_error_lists_the_names_of_the_directory(tmp_path: Path):
    for name in ("one", "three"):
        (tmp_path / f"{name}.onnx").write_bytes(b"x")
    with pytest.raises(UserError) as raised:
        find_generator("two", tmp_path)
    assert {"one", "three"} <= set(re.findall(r"\w+", str(raised.value)))


def test_the_error_has_only_the_most_similar_name(tmp_path: Path):
    for name in ("digits", "mnist", "mnist-paper"):
        (tmp_path / f"{name}.onnx").write_bytes(b"x")
    with pytest.raises(UserError) as raised:
        find_generator("mnits", tmp_path)
    assert set(re.findall(r"[\w-]+", str(raised.value))) & {"digits", "mnist", "mnist-paper"} == {"mnist"}


def test_the_models_directory_is_that_of_the_environment_or_of_the_shipped_generators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SEEDMINT_MODELS", str(tmp_path))
    assert models_directory() == tmp_path
    monkeypatch.setenv("SEEDMINT_MODELS", "")
    assert (models_directory() / "digits.onnx").exists()
    monkeypatch.delenv("SEEDMINT_MODELS")
    assert (models_directory() / "digits.onnx").exists()


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installed copy with two generators; the data directory of the user is `data/seedmint`."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.onnx").write_bytes(name.encode())
    monkeypatch.setattr(directory_module, "SHIPPED", folder)
    monkeypatch.setattr(directory_module, "is_installed", lambda: True)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("SEEDMINT_MODELS", raising=False)
    return folder


def files(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_an_installed_copy_has_its_generators_in_the_data_directory(shipped: Path, tmp_path: Path):
    assert default_directory() == tmp_path / "data" / "seedmint" / "models"
    assert files(models_directory()) == {"one.onnx": "one", "two.onnx": "two"}


def test_an_update_keeps_the_files_of_the_user(shipped: Path, tmp_path: Path):
    directory, record = tmp_path / "models", tmp_path / "shipped.json"
    copy_shipped(directory, record)
    (directory / "two.onnx").write_text("of the user")
    (directory / "mine.onnx").write_text("mine")
    for name, text in {"one": "one, improved", "two": "two, improved", "three": "three"}.items():
        (shipped / f"{name}.onnx").write_text(text)
    copy_shipped(directory, record)
    old = f"one@{hashlib.sha256(b'one').hexdigest()[:12]}.onnx"
    expected = {"one.onnx": "one, improved", old: "one", "two.onnx": "of the user", "mine.onnx": "mine", "three.onnx": "three"}
    assert files(directory) == expected


def test_a_removed_generator_does_not_come_back(shipped: Path, tmp_path: Path):
    directory, record = tmp_path / "models", tmp_path / "shipped.json"
    copy_shipped(directory, record)
    (directory / "two.onnx").unlink()
    (shipped / "three.onnx").write_text("three")
    copy_shipped(directory, record)
    assert files(directory) == {"one.onnx": "one", "three.onnx": "three"}


def test_a_data_directory_that_cannot_be_written_is_an_error(shipped: Path, tmp_path: Path):
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(UserError) as raised:
        models_directory()
    assert (raised.value.field, raised.value.reason) == ("models", "not_writable")

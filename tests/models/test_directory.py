"""Generator files are found by name or path."""

import re
from pathlib import Path

import pytest

from seedmint.models.directory import find_generator, models_directory
from seedmint.models.errors import UserError


def test_a_name_is_looked_up_in_the_directory_and_a_path_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("one.onnx", "no_suffix"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert find_generator("one", tmp_path) == tmp_path / "one.onnx"
    for path in (str(tmp_path / "one.onnx"), "one.onnx", "./no_suffix"):
        assert find_generator(path, tmp_path / "elsewhere") == Path(path)


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

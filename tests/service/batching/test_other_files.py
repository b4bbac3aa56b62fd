"""Files of other formats in the models directory."""

from pathlib import Path

import pytest

from seedmint.service.batching.other_files import OtherFiles

SAFETENSORS = (16).to_bytes(8, "little") + b"{" + bytes(15)


def test_each_file_of_another_format_is_reported_once(tmp_path: Path):
    files = OtherFiles(tmp_path)
    assert files.new_messages() == []
    (tmp_path / "B.SAFETENSORS").write_bytes(SAFETENSORS)
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04N.")
    (tmp_path / "net.onnx").write_bytes(SAFETENSORS)  # served, or refused by the scan of generators
    (tmp_path / ".hidden.pkl").write_bytes(b"\x80\x04N.")
    (tmp_path / "unknown.bin").write_bytes(b"other data")
    first = files.new_messages()
    assert [message.split(": ")[0] for message in first] == ["B.SAFETENSORS", "a.pkl"]
    assert [name in message for name, message in zip(("safetensors_file", "pickle_file"), first, strict=True)] == [True, True]
    assert files.new_messages() == []


def test_a_changed_file_is_reported_again(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(SAFETENSORS)
    files = OtherFiles(tmp_path)
    assert len(files.new_messages()) == 1
    path.write_bytes(SAFETENSORS + b" ")
    assert len(files.new_messages()) == 1
    path.unlink()
    assert files.new_messages() == []
    path.write_bytes(SAFETENSORS + b" ")
    assert len(files.new_messages()) == 1


def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path):
    (tmp_path / "a.pkl").symlink_to(tmp_path / "missing")
    (tmp_path / "b.pkl").write_bytes(b"\x80\x04N.")
    assert len(OtherFiles(tmp_path).new_messages()) == 1


def test_a_missing_directory_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        OtherFiles(tmp_path / "missing").new_messages()

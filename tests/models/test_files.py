"""Atomic writing and synchronisation of files."""

import ctypes
import errno
from pathlib import Path

import pytest

from seedmint.models import files
from seedmint.models.files import synced_file_system, whole_file, write_whole


def test_failed_synchronisation_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(descriptor: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(files, "_syncfs", lambda: failing)
    with pytest.raises(OSError) as raised, synced_file_system(tmp_path):  # noqa: PT011  # errno is checked below
        pass
    assert (raised.value.errno, raised.value.filename) == (errno.EIO, str(tmp_path))


def test_error_inside_the_context_skips_synchronisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    monkeypatch.setattr(files, "_syncfs", lambda: lambda descriptor: synced.append(descriptor) or 0)
    with pytest.raises(KeyError), synced_file_system(tmp_path):
        raise KeyError
    assert not synced
    with synced_file_system(tmp_path):
        pass
    assert len(synced) == 1


def test_written_file_has_the_permissions_of_any_new_file(tmp_path: Path):
    (tmp_path / "any").write_bytes(b"")
    write_whole(tmp_path / "whole", b"content")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "any").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["any", "whole"]


def test_failed_write_keeps_the_old_file_and_leaves_no_temporary_file(tmp_path: Path):
    path = tmp_path / "folder" / "file"
    write_whole(path, b"old")

    def fail() -> None:
        with whole_file(path) as file:
            file.write(b"new")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]

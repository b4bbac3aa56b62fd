"""What is written is on the disk, or an error says that it may not be."""

import ctypes
import errno
from pathlib import Path

import pytest

from seedmint.models import files
from seedmint.models.files import synced_file_system, write_whole


def test_a_file_system_that_cannot_be_synced_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(descriptor: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(files, "_syncfs", lambda: failing)
    with pytest.raises(OSError, match=f"Input/output error: '{tmp_path}'") as told, synced_file_system(tmp_path):
        pass
    assert told.value.errno == errno.EIO


def test_what_goes_wrong_in_the_block_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    monkeypatch.setattr(files, "_syncfs", lambda: lambda descriptor: synced.append(descriptor) or 0)
    with pytest.raises(KeyError), synced_file_system(tmp_path):
        raise KeyError
    assert not synced
    with synced_file_system(tmp_path):
        pass
    assert len(synced) == 1


def test_a_whole_file_has_the_rights_of_any_new_file(tmp_path: Path):
    (tmp_path / "any").write_bytes(b"")
    write_whole(tmp_path / "whole", b"content")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "any").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["any", "whole"]

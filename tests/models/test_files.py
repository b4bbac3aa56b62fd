"""Atomic writing and synchronisation of files."""

import ctypes
import errno
import os
import stat
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


def test_errors_of_the_system_call_have_a_number():
    """`synced_file_system` reads this number. Without the call, the system synchronises all file systems instead."""
    syncfs = files._syncfs()
    if syncfs is None:
        pytest.skip("this system has no syncfs")
    ctypes.set_errno(0)
    assert syncfs(-1) == -1
    assert ctypes.get_errno() == errno.EBADF


def test_content_is_synchronised_before_the_file_has_its_name_and_its_directory_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "new" / "folder" / "file"
    synced: list[tuple[bool, bool, int]] = []

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        is_directory = stat.S_ISDIR(status.st_mode)
        synced.append((is_directory, path.exists(), 0 if is_directory else status.st_size))

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(path, b"content")
    assert synced == [(False, False, 7), (True, True, 0)]


def test_failed_synchronisation_of_the_directory_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(directory: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(directory))

    monkeypatch.setattr(files, "sync_directory", fail)
    with pytest.raises(OSError) as raised:  # noqa: PT011  # errno is checked below
        write_whole(tmp_path / "file", b"content")
    assert (raised.value.errno, raised.value.filename) == (errno.EIO, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


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

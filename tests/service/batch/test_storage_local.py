"""A local folder as an output: who may write there, and files that appear whole."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from seedmint.service.batch.storage import local as module
from seedmint.service.batch.storage.base import BusyError
from seedmint.service.batch.storage.local import Folder
from seedmint.service.batch.storage.resolve import open_output


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def mask() -> Iterator[None]:
    before = os.umask(0o007)
    yield
    os.umask(before)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_created_once_with_and_without_hard_links(
    folder: Folder, links: bool, mask: None, monkeypatch: pytest.MonkeyPatch
):
    def none(*_: object) -> NoReturn:
        raise OSError(errno.EPERM, "Operation not permitted")  # as FAT says

    if not links:
        monkeypatch.setattr(os, "link", none)
    folder.create("plan.json", b"first")
    with pytest.raises(FileExistsError):
        folder.create("plan.json", b"second")
    assert {path.name: path.read_bytes() for path in folder.root.iterdir()} == {"plan.json": b"first"}
    assert (folder.root / "plan.json").stat().st_mode & 0o777 == 0o660


def test_what_cannot_be_created_leaves_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.create("plan.json", b"first")
    assert not list(folder.root.iterdir())


def test_a_part_waits_while_another_clears_up(folder: Folder):
    entered, cleared = threading.Event(), threading.Event()

    def clear_up() -> None:
        with open_output(folder.url).lock(shared=False):
            entered.set()
            time.sleep(0.3)
            cleared.set()

    other = threading.Thread(target=clear_up)
    other.start()
    entered.wait()
    with pytest.raises(BusyError), folder.lock(shared=False):
        pass
    with folder.lock(shared=True):
        assert cleared.is_set()
    other.join()


def test_a_part_does_not_wait_for_ever(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_SHARED_WAIT_SECONDS", 0.2)
    with folder.lock(shared=False), pytest.raises(BusyError, match="another job is writing there"), folder.lock(shared=True):
        pass

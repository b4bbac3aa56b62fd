"""Storage in a local folder: locks, hard links and errors of the disk."""

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
from seedmint.service.batch.storage.local import LocalOutput
from seedmint.service.batch.storage.resolve import open_output


@pytest.fixture
def folder(tmp_path: Path) -> LocalOutput:
    return LocalOutput(tmp_path)


@pytest.fixture
def mask() -> Iterator[None]:
    before = os.umask(0o007)
    yield
    os.umask(before)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_created_once_with_and_without_hard_links(
    folder: LocalOutput, links: bool, mask: None, monkeypatch: pytest.MonkeyPatch
):
    def unsupported(*_: object) -> NoReturn:
        raise OSError(errno.EPERM, "Operation not permitted")  # as on FAT

    if not links:
        monkeypatch.setattr(os, "link", unsupported)
    folder.create("plan.json", b"first")
    with pytest.raises(FileExistsError):
        folder.create("plan.json", b"second")
    assert {path.name: path.read_bytes() for path in folder.root.iterdir()} == {"plan.json": b"first"}
    assert (folder.root / "plan.json").stat().st_mode & 0o777 == 0o660


def test_a_failed_create_leaves_no_file(folder: LocalOutput, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as error:  # noqa: PT011
        folder.create("plan.json", b"first")
    assert error.value.errno == errno.ENOSPC
    assert not list(folder.root.iterdir())


def test_a_shared_lock_waits_while_another_job_cleans(folder: LocalOutput):
    entered, cleared = threading.Event(), threading.Event()

    def clean() -> None:
        with open_output(folder.url).lock(shared=False):
            entered.set()
            time.sleep(0.3)
            cleared.set()

    other = threading.Thread(target=clean)
    other.start()
    entered.wait()
    with pytest.raises(BusyError), folder.lock(shared=False):
        pass
    with folder.lock(shared=True):
        assert cleared.is_set()
    other.join()


def test_a_shared_lock_does_not_wait_forever(folder: LocalOutput, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_SHARED_WAIT_SECONDS", 0.2)
    with folder.lock(shared=False), pytest.raises(BusyError), folder.lock(shared=True):
        pass

"""Places poorer than a local disk or AWS: jobs go on with a warning if the bytes stay the same, or an error names a cure."""

import errno
import fcntl
import logging
import os
import shutil
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from seedmint.models import files
from seedmint.service.batch.job import begin
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.storage import local
from seedmint.service.batch.storage.base import InvalidOutputError, OutputError
from seedmint.service.batch.storage.object_store import ObjectStoreOutput
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator
from tests.support.batch_jobs import batch, hashes, make_all, plan_for


@pytest.fixture(autouse=True)
def _fresh_warnings() -> Iterator[None]:
    local._warn_once.cache_clear()
    yield
    local._warn_once.cache_clear()


def failing(number: int) -> Any:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_job_without_file_locks(
    models: Path, tmp_path: Path, rgb: Generator, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("SEEDMINT_MODELS", str(models))
    out = tmp_path / "out"
    monkeypatch.setattr(fcntl, "flock", failing(number))
    options = ("run", "rgb", "--seeds", "0-99", "--shard-size", "32", "--out", out, "--workers", "1")
    batch(*options)
    assert [str(out) in text for text in warnings_of(caplog)] == [True]
    temporary = out / "data/.shard-000001.tar.0"
    temporary.touch()
    batch(*options)
    assert temporary.exists()  # it may belong to a running job
    temporary.unlink()
    make_all(open_output(str(tmp_path / "other")), plan_for(rgb), rgb)
    assert hashes(out) == hashes(tmp_path / "other")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.EPERM])
@pytest.mark.parametrize("shard_format", ["npz", "png"])
def test_a_job_without_renames(
    tmp_path: Path,
    rgb: Generator,
    number: int,
    shard_format: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    plan, out = plan_for(rgb, form=shard_format), tmp_path / "out"
    make_all(open_output(str(tmp_path / "other")), plan, rgb)
    monkeypatch.setattr(os, "replace", failing(number))
    make_all(open_output(str(out)), plan, rgb)
    assert hashes(out) == hashes(tmp_path / "other")
    assert [str(out) in text for text in warnings_of(caplog)] == [True]


def test_another_error_of_a_rename_is_an_error(tmp_path: Path, rgb: Generator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "replace", failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        make_all(open_output(str(tmp_path / "out")), plan_for(rgb), rgb)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS])
def test_a_folder_that_cannot_be_synchronised(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "fsync", failing(number))
    files.sync_directory(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        files.sync_directory(tmp_path)


def test_an_unknown_size_of_the_disk_is_not_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 0))
    assert open_output(str(tmp_path)).free() is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    assert open_output(str(tmp_path)).free() == 0


class PlainStore(MemoryFileSystem):  # type: ignore[misc]
    """A store that answers conditional requests with 501, as s3fs reports it."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.conditional = 0

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        if mode == "create":
            self.conditional += 1
            raise OSError(errno.ENOSYS, "A header you provided implies functionality that is not implemented.")
        super().pipe_file(path, value, mode, **options)


def test_a_store_without_conditional_writes(tmp_path: Path, rgb: Generator, caplog: pytest.LogCaptureFixture):
    store = PlainStore()
    output = ObjectStoreOutput(store, "/bucket/job", "s3://bucket/job")
    plan = plan_for(rgb)
    make_all(output, plan, rgb)
    assert store.conditional == 2  # plan.json and README.md: each is tried once
    assert all("s3://bucket/job" in text for text in warnings_of(caplog))
    make_all(open_output(str(tmp_path / "out")), plan, rgb)
    found = {path.removeprefix("/bucket/job/"): file.getvalue() for path, file in store.store.items()}
    assert found == {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in files_in(tmp_path / "out")}
    with pytest.raises(PlanError):
        begin(output, plan_for(rgb, "0-9"))


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_full_folder_for_temporary_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    output = ObjectStoreOutput(PlainStore(), "/bucket/job", "s3://bucket/job")
    with pytest.raises(OutputError) as error, output.write("data/shard-000000.tar"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.reason == "no_temporary_space"
    assert str(error.value).startswith(f"{tmp_path} ")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3:/bucket/x", "malformed_url"),
        ("s3:bucket/x", "malformed_url"),
        ("S3:/bucket", "malformed_url"),
        ("https:/host/x", "malformed_url"),
        ("zip::s3://bucket/x", "malformed_url"),
        ("a::b", "malformed_url"),
        ("memory://x", "volatile_storage"),
    ],
)
def test_texts_that_would_become_a_local_folder_or_be_lost_are_refused(url: str, reason: str):
    with pytest.raises(InvalidOutputError) as error:
        open_output(url)
    assert (error.value.field, error.value.reason, error.value.status) == ("out", reason, 2)


@pytest.mark.parametrize("path", ["out", "./s3:/x", "a:b", "2026-01-01T12:00"])
def test_folders_with_colons_are_folders(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert Path(open_output(path).url) == tmp_path / path

"""One contract for all storages: a local folder, fsspec's memory file system, and S3."""

import hashlib
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import fsspec
import pytest

from seedmint.service.batch.completeness import complete_shards, missing_shards, orphans
from seedmint.service.batch.job import begin, finish, load_plan
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.batch.storage import local, object_store, resolve
from seedmint.service.batch.storage.base import PLAN_FILE, InvalidOutputError, Output
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator
from tests.support.batch_jobs import hashes, make_all, plan_for

FORMATS = ["webdataset", "parquet", "png", "npz", "npy"]


class Storage:
    """An output, and what tests need beside it."""

    def __init__(self, url: str) -> None:
        self.output: Output = open_output(url)
        self._system, self._root = fsspec.core.url_to_fs(url)

    def remove(self, name: str) -> None:
        self._system.rm(f"{self._root}/{name}")

    def put(self, name: str, content: bytes = b"") -> None:
        self._system.makedirs(f"{self._root}/{name}".rsplit("/", 1)[0], exist_ok=True)
        self._system.pipe_file(f"{self._root}/{name}", content)

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each file by name, without the lock of a local folder."""
        self._system.invalidate_cache()
        root = self._root.rstrip("/")
        names = {path.removeprefix(f"{root}/"): self._system.cat_file(path) for path in self._system.find(root)}
        return {name: hashlib.sha256(content).hexdigest() for name, content in names.items() if name != ".lock"}


@pytest.fixture(params=["local", "memory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(resolve, "_VOLATILE", ())
    if request.param == "s3":
        request.getfixturevalue("s3")
        fsspec.filesystem("s3").clear_instance_cache()
    urls = {"local": str(tmp_path / "out"), "memory": f"memory://{uuid4().hex}/out", "s3": f"s3://bucket/{uuid4().hex}"}
    return Storage(urls[request.param])


@pytest.fixture
def output(storage: Storage) -> Output:
    """An output that holds a file "plan.json"."""
    storage.output.prepare()
    storage.output.create(PLAN_FILE, b"plan")
    return storage.output


def write(output: Output, name: str, content: bytes) -> None:
    with output.write(name) as file:
        file.write(content)


def write_and_fail(file: IO[bytes]) -> None:
    file.write(b"incomplete")
    raise ZeroDivisionError


def test_files_have_sizes_and_can_be_removed(output: Output):
    for name, content in (("data/a", b"12345"), ("data/x/b", b"")):
        write(output, name, content)
    assert dict(output.sizes("data")) == {"a": 5, "x/b": 0}
    assert dict(output.sizes("none")) == {}
    assert (output.size("data/a"), output.size("data/x/b")) == (5, 0)
    with pytest.raises(FileNotFoundError):
        output.size("data/none")
    output.remove("data/a")
    output.remove("data/a")
    assert dict(output.sizes("data")) == {"x/b": 0}


def test_a_folder_can_be_removed_with_all_files(storage: Storage, output: Output):
    for name in ("data/a", "data/x/b", "records/000000.json"):
        write(output, name, b"content")
    output.remove_all()
    assert storage.hashes() == {}
    output.remove_all()
    assert load_plan(output) is None


def test_a_file_that_was_written_can_be_read(output: Output, monkeypatch: pytest.MonkeyPatch):
    for module in (local, object_store):
        monkeypatch.setattr(module, "_CHUNK_BYTES", 1000)
    content = bytes(range(256)) * 10
    write(output, "data/file", content)
    assert output.read("data/file") == content
    with output.open("data/file") as file:
        assert file.read(3) == content[:3]
        file.seek(-2, 2)
        assert file.read() == content[-2:]
    chunks = list(output.stream("data/file", 0, len(content)))
    assert [len(chunk) for chunk in chunks] == [1000, 1000, 560]
    assert b"".join(chunks) == content
    for start, stop in ((0, 1), (999, 1001), (2559, 2560), (5, 2500), (7, 7)):
        assert b"".join(output.stream("data/file", start, stop)) == content[start:stop]


def test_a_missing_file_is_an_error(output: Output):
    with pytest.raises(FileNotFoundError):
        output.read("none")
    with pytest.raises(FileNotFoundError), output.open("none"):
        pass
    with pytest.raises(FileNotFoundError):
        next(output.stream("none", 0, 1))


def test_a_write_replaces_a_file_only_if_it_succeeds(output: Output):
    write(output, "data/file", b"first")
    with pytest.raises(ZeroDivisionError), output.write("data/file") as file:
        write_and_fail(file)
    assert output.read("data/file") == b"first"
    write(output, "data/file", b"second")
    assert output.read("data/file") == b"second"
    with pytest.raises(ZeroDivisionError), output.write("data/other"):
        _ = 1 / 0
    assert list(output.names("data")) == ["file"]


def test_many_files_are_written(output: Output):
    files = {f"data/{i % 3}/{i}.png": bytes([i]) * i for i in range(1, 100)}
    with output.write_many() as add:
        for name, content in files.items():
            add(name, content)
    assert sorted(f"data/{name}" for name in output.walk("data")) == sorted(files)
    assert all(output.read(name) == content for name, content in files.items())


def test_a_file_is_created_only_once(output: Output):
    with pytest.raises(FileExistsError):
        output.create(PLAN_FILE, b"other")
    assert output.read(PLAN_FILE) == b"plan"


def test_files_are_listed(output: Output):
    write(output, "records/000000.json", b"{}")
    write(output, "data/0/1.png", b"x")
    assert PLAN_FILE in set(output.names(""))
    assert list(output.names("records")) == ["000000.json"]
    assert list(output.walk("data")) == ["0/1.png"]
    assert list(output.names("none")) == list(output.walk("none")) == []
    assert output.versions("none") == {}


def test_the_version_of_a_file_changes_with_its_content(output: Output):
    write(output, "records/a", b"1")
    write(output, "records/b", b"1")
    before = output.versions("records")
    write(output, "records/a", b"22")
    after = output.versions("records")
    assert before.keys() == after.keys() == {"a", "b"}
    assert before["a"] != after["a"]
    assert before["b"] == after["b"]


def test_locks_and_cleaning_leave_files(output: Output):
    with output.lock(shared=True), output.lock(shared=True):
        output.clean()
    with output.lock(shared=False):
        output.clean()
    assert output.read(PLAN_FILE) == b"plan"
    free = output.free()
    assert free is None or free > 0


@pytest.mark.parametrize("shard_format", FORMATS)
def test_every_storage_holds_the_same_bytes(storage: Storage, tmp_path: Path, rgb: Generator, shard_format: str):
    plan = plan_for(rgb, "0-69,1000-1009", shard_format)
    make_all(open_output(str(tmp_path / "reference")), plan, rgb)
    make_all(storage.output, plan, rgb, backwards=True)
    assert storage.hashes() == hashes(tmp_path / "reference")
    assert list(verify(storage.output, plan, [rgb], ignore_progress)) == []
    assert list(orphans(storage.output, plan)) == []


@pytest.mark.parametrize("shard_format", ["npz", "png"])
def test_lost_files_are_replaced(storage: Storage, rgb: Generator, shard_format: str):
    plan = plan_for(rgb, form=shard_format)
    output = storage.output
    make_all(output, plan, rgb)
    before = storage.hashes()
    storage.remove("records/000001.json")
    data = next(name for name in before if name.endswith(("/99.png", "shard-000003.npz")))
    storage.remove(data)
    assert complete_shards(output, plan).tolist() == [True, False, True, False]
    assert missing_shards(output, plan).tolist() == [1, 3]
    assert missing_shards(output, plan, 1, 2).tolist() == [1, 3]
    assert missing_shards(output, plan, 0, 2).tolist() == []
    assert {(fault.shard, fault.reason) for fault in verify(output, plan, [rgb], ignore_progress)} == {
        (1, "no_record"),
        (3, "missing_file"),
    }
    assert not finish(output, plan)
    make_all(output, plan, rgb)
    assert storage.hashes() == before


@pytest.mark.parametrize(
    ("shard_format", "names"),
    [
        ("webdataset", {"data/shard-000004.tar", "data/shard-000000.npz", "data/shard-1.tar", "data/x"}),
        ("png", {"data/0/100.png", "data/0.png", "data/9/0.png", "data/0/00.png", f"data/0/{1 << 63}.png", "data/0/x"}),
    ],
)
def test_files_that_belong_to_no_shard_are_orphans(storage: Storage, rgb: Generator, shard_format: str, names: set[str]):
    plan = plan_for(rgb, form=shard_format)
    make_all(storage.output, plan, rgb)
    names = names | {"records/000004.json", "records/x.json"}
    for name in names:
        storage.put(name)
    assert set(orphans(storage.output, plan)) == names
    assert complete_shards(storage.output, plan).all()


def test_a_plan_excludes_other_jobs(storage: Storage, rgb: Generator):
    plan: Any = plan_for(rgb)
    assert load_plan(storage.output) is None
    for _ in range(2):
        begin(storage.output, plan)
    with pytest.raises(PlanError) as error:
        begin(storage.output, plan_for(rgb, form="npy"))
    assert (error.value.field, error.value.reason) == ("format", "other_plan")
    assert load_plan(storage.output) == plan
    assert not finish(storage.output, plan)


def test_other_files_exclude_a_job(storage: Storage, rgb: Generator):
    storage.put("README.md", b"mine")
    before = storage.hashes()
    with pytest.raises(InvalidOutputError) as error:
        begin(storage.output, plan_for(rgb))
    assert (error.value.field, error.value.reason) == ("out", "not_a_job")
    assert storage.hashes() == before

"""Object stores: what fails is tried again, nothing half-written is visible, and the bytes are those of a local job."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from seedmint.service.batch.job import begin, finish, missing, plan_of
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.records import read_record
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage import object_store
from seedmint.service.batch.storage.base import OutputError
from seedmint.service.batch.storage.object_store import ATTEMPTS, Objects
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support.batch_jobs import hashes, make_all, plan_for


class Store(MemoryFileSystem):  # type: ignore[misc]
    """A store in memory, in which every so-manieth request fails, before or after it has done what it was asked for."""

    cachable = False

    def __init__(self, period: int = 0) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.period = period
        self.requests = 0

    def _request(self) -> None:
        self.requests += 1
        if self.period and self.requests % self.period == 0:
            raise ConnectionError("the store is not to be reached")

    def put_file(self, *arguments: Any, **options: Any) -> None:
        self._request()
        super().put_file(*arguments, **options)
        self._request()

    def pipe_file(self, *arguments: Any, **options: Any) -> None:
        self._request()
        super().pipe_file(*arguments, **options)
        self._request()

    def cat_file(self, *arguments: Any, **options: Any) -> bytes:
        self._request()
        content: bytes = super().cat_file(*arguments, **options)
        return content

    def ls(self, *arguments: Any, **options: Any) -> Any:
        self._request()
        return super().ls(*arguments, **options)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited, and are not."""
    asked: list[float] = []
    monkeypatch.setattr(object_store, "Retrying", partial(object_store.Retrying, sleep=asked.append))
    return asked


def content(store: Store) -> dict[str, str]:
    root = "/bucket/job/"
    return {path.removeprefix(root): hashlib.sha256(file.getvalue()).hexdigest() for path, file in sorted(store.store.items())}


@pytest.mark.parametrize("form", ["webdataset", "parquet", "png", "npz", "npy"])
@pytest.mark.parametrize("period", [0, 5])
def test_the_bytes_are_those_of_a_local_job(tmp_path: Path, rgb: Generator, form: str, period: int, waits: list[float]):
    plan = plan_for(rgb, form=form)
    make_all(open_output(str(tmp_path / "out")), plan, rgb)
    store = Store(period)
    output = Objects(store, "/bucket/job", "memory://bucket/job")
    make_all(output, plan, rgb, backwards=True)
    assert content(store) == hashes(tmp_path / "out")
    assert bool(waits) == bool(period)
    store.period = 0
    assert list(verify(output, plan, rgb, lambda images: None)) == []


@pytest.mark.parametrize("form", ["npz", "png"])
def test_a_shard_that_is_made_twice_at_once_with_other_bytes_has_the_record_of_what_is_there(
    models: Path, form: str, monkeypatch: pytest.MonkeyPatch
):
    """By an approximate generator, between the data and the record of who made it first."""
    first, second = open_generator(models / "rgb.onnx"), open_generator(models / "rgb.onnx")
    first.determinism = second.determinism = "approximate"
    true = second.generate
    monkeypatch.setattr(second, "generate", lambda *arguments: true(*arguments) ^ 1)
    plan, store = plan_for(first, form=form), Store()
    output = Objects(store, "/bucket/job", "memory://bucket/job")
    begin(output, plan)
    put = store.put_file

    def interrupted(source: str, path: str, **options: Any) -> None:
        if path.endswith("records/000001.json"):
            monkeypatch.setattr(store, "put_file", put)
            make_shard(second, plan, 1, output)
        put(source, path, **options)

    monkeypatch.setattr(store, "put_file", interrupted)
    record = make_shard(first, plan, 1, output)
    assert record == read_record(output, plan, 1)
    make_all(output, plan, first)
    assert list(verify(output, plan, first, lambda images: None)) == []


def test_a_store_that_stays_away_is_one_error_after_ever_longer_waits(rgb: Generator, waits: list[float]):
    plan, store = plan_for(rgb), Store()
    output = Objects(store, "/bucket/job", "memory://bucket/job")
    begin(output, plan)
    store.period = 1
    with pytest.raises(OutputError, match=rf"memory://bucket/job: cannot write .*tried {ATTEMPTS} times: the store is not"):
        make_shard(rgb, plan, 1, output)
    assert len(waits) == ATTEMPTS - 1
    assert max(waits) <= object_store._LONGEST_WAIT
    assert set(content(store)) == {"plan.json"}
    store.period = 0
    assert missing(output, plan).tolist() == [0, 1, 2, 3]


def test_what_will_not_pass_is_not_tried_again(rgb: Generator, monkeypatch: pytest.MonkeyPatch, waits: list[float]):
    store = Store()

    def refuse(*arguments: Any, **options: Any) -> None:
        raise PermissionError("no such key may write here")

    monkeypatch.setattr(store, "pipe_file", refuse)
    with pytest.raises(OutputError, match=r"memory://bucket/job: cannot write plan\.json: no such key may write here"):
        begin(Objects(store, "/bucket/job", "memory://bucket/job"), plan_for(rgb))
    assert waits == []


def test_the_plan_in_the_store_keeps_other_jobs_out(rgb: Generator):
    output = Objects(Store(), "/bucket/job", "memory://bucket/job")
    begin(output, plan_for(rgb))
    begin(output, plan_for(rgb))
    with pytest.raises(PlanError, match="holds another job"):
        begin(output, plan_for(rgb, form="npy"))
    assert plan_of(output) == plan_for(rgb)
    assert not finish(output, plan_for(rgb))


def test_a_prefix_that_holds_something_else_is_left_alone(rgb: Generator):
    store = Store()
    store.pipe_file("/bucket/job/README.md", b"mine")
    with pytest.raises(OutputError, match="is not empty, and holds no job"):
        begin(Objects(store, "/bucket/job", "memory://bucket/job"), plan_for(rgb))


@pytest.mark.parametrize("url", ["nowhere://bucket/job", "s3x://a"])
def test_a_place_that_is_not_known(url: str):
    with pytest.raises(OutputError, match=f"--out {url}: "):
        open_output(url)

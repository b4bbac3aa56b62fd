"""Storage in an object store: failed requests are repeated, and permanent errors are not."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from seedmint.service.batch.completeness import missing_shards
from seedmint.service.batch.job import begin
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.batch.records import read_record
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage import object_store
from seedmint.service.batch.storage.base import InvalidOutputError, OutputError
from seedmint.service.batch.storage.object_store import ATTEMPTS, ObjectStoreOutput
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.batch_jobs import hashes, make_all, plan_for


class FaultyStore(MemoryFileSystem):  # type: ignore[misc]
    """A memory file system in which every `period`-th request fails, before or after its action."""

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
            raise ConnectionError("unreachable")

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
    """The delays in seconds, which do not happen."""
    delays: list[float] = []
    monkeypatch.setattr(object_store, "Retrying", partial(object_store.Retrying, sleep=delays.append))
    return delays


def content(store: FaultyStore) -> dict[str, str]:
    root = "/bucket/job/"
    return {path.removeprefix(root): hashlib.sha256(file.getvalue()).hexdigest() for path, file in sorted(store.store.items())}


@pytest.mark.parametrize("form", ["npz", "png"])
def test_failed_requests_are_repeated(tmp_path: Path, rgb: Generator, form: str, waits: list[float]):
    plan = plan_for(rgb, form=form)
    make_all(open_output(str(tmp_path / "out")), plan, rgb)
    store = FaultyStore(period=5)
    output = ObjectStoreOutput(store, "/bucket/job", "memory://bucket/job")
    make_all(output, plan, rgb, backwards=True)
    assert content(store) == hashes(tmp_path / "out")
    assert waits
    store.period = 0
    assert list(verify(output, plan, [rgb], ignore_progress)) == []


@pytest.mark.parametrize("form", ["npz", "png"])
def test_a_shard_made_twice_with_other_bytes_gets_the_record_of_its_last_content(
    models: Path, form: str, monkeypatch: pytest.MonkeyPatch
):
    """The second job with an approximate generator writes between the data and the record of the first."""
    first, second = open_generator(models / "rgb.onnx"), open_generator(models / "rgb.onnx")
    generators.make_approximate(first)
    generators.make_approximate(second)
    true = second.generate
    monkeypatch.setattr(second, "generate", lambda *arguments: true(*arguments) ^ 1)
    plan, store = plan_for(first, form=form), FaultyStore()
    output = ObjectStoreOutput(store, "/bucket/job", "memory://bucket/job")
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
    assert list(verify(output, plan, [first], ignore_progress)) == []


def test_an_unreachable_store_is_an_error_after_growing_delays(rgb: Generator, waits: list[float]):
    plan, store = plan_for(rgb), FaultyStore()
    output = ObjectStoreOutput(store, "/bucket/job", "memory://bucket/job")
    begin(output, plan)
    store.period = 1
    with pytest.raises(OutputError) as error:
        make_shard(rgb, plan, 1, output)
    assert (error.value.field, error.value.reason, error.value.status) == ("out", "output_unavailable", 1)
    assert len(waits) == ATTEMPTS - 1
    assert max(waits) <= object_store._MAX_WAIT_SECONDS
    assert set(content(store)) == {"plan.json"}
    store.period = 0
    assert missing_shards(output, plan).tolist() == [0, 1, 2, 3]


def test_permanent_errors_are_not_repeated(rgb: Generator, monkeypatch: pytest.MonkeyPatch, waits: list[float]):
    store = FaultyStore()

    def refuse(*arguments: Any, **options: Any) -> None:
        raise PermissionError("no such key may write here")

    monkeypatch.setattr(store, "pipe_file", refuse)
    with pytest.raises(OutputError, match="no such key may write here"):
        begin(ObjectStoreOutput(store, "/bucket/job", "memory://bucket/job"), plan_for(rgb))
    assert waits == []


@pytest.mark.parametrize("url", ["nowhere://bucket/job", "s3x://a"])
def test_an_unknown_kind_of_url_is_an_error(url: str):
    with pytest.raises(InvalidOutputError) as error:
        open_output(url)
    assert (error.value.field, error.value.reason) == ("out", "unknown_protocol")

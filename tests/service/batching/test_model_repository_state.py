"""The model repository with stand-ins for generators: lookups, retired versions, metrics and memory."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seedmint.service.batching import generator_opener, model_repository
from seedmint.service.batching.errors import UnknownModel, UnknownVersion
from seedmint.service.batching.local_leader import LocalLeader
from seedmint.service.batching.model_repository import ModelFile, ModelRepository, Served, loaded_text
from seedmint.service.batching.place_scanner import PlaceScanner
from seedmint.service.batching.place_states import PlaceState
from seedmint.service.places.folder_place import list_files
from seedmint.service.places.opening import open_places
from seedmint.service.settings import read_settings

OLD, NEW = "0" * 12, "1" * 12


class Batcher:
    """Stands in for a batcher. Instances can be in a `WeakSet`."""

    def __init__(self, name: str = "one", queue_size: int = 0, bulk_requests: int = 0) -> None:
        self.generator = SimpleNamespace(name=name, id=(name, NEW))
        self.queue_size = queue_size
        self.bulk_requests = bulk_requests

    async def close(self) -> None:
        pass


def served(name: str, digest12: str = NEW) -> Served:
    return Served(SimpleNamespace(name=name, digest12=digest12, id=(name, digest12)), Batcher(name))  # type: ignore[arg-type]


def repository_of(directory: Path, **files: Served | None) -> ModelRepository:
    """Return a repository that has loaded these files, by stem. Underscores stand for "@"."""
    repository = ModelRepository(read_settings({"SEEDMINT_MODELS": str(directory)}))
    repository.has_loaded = True
    repository._files = {stem.replace("_", "@"): ModelFile(served=generator) for stem, generator in files.items()}
    return repository


def test_generators_are_listed_by_name_without_pinned_files_and_files_that_never_loaded(tmp_path: Path):
    two, one = served("two"), served("one")
    repository = repository_of(tmp_path, two=two, never=None, one=one, one_000000000000=served("one", OLD))
    assert repository.all() == [one, two]


def test_version_is_found_by_digest_in_the_present_and_in_the_pinned_file(tmp_path: Path):
    present, pinned = served("one", NEW), served("one", OLD)
    repository = repository_of(tmp_path, one=present, one_000000000000=pinned, gone_000000000000=served("gone", OLD))
    assert repository.find("one", None) is present
    assert repository.find("one", NEW) is present
    assert repository.find("one", OLD) is pinned
    assert repository.find("gone", OLD).generator.name == "gone"
    with pytest.raises(UnknownVersion):
        repository.find("one", "2" * 12)
    for digest in (None, NEW):
        with pytest.raises(UnknownModel):
            repository.find("gone", digest)


def test_a_held_version_answers_its_pinned_urls_only_and_replaces_the_present_one_when_it_is_announced(tmp_path: Path):
    old, new, other = served("one", OLD), served("one", NEW), served("two", "2" * 12)
    repository = repository_of(tmp_path, one=old)
    repository._held = {7: other, 8: new}
    assert repository.find("one", NEW) is new
    assert repository.find("one", None) is old
    repository.serve_held(8, "one")
    assert repository.find("one", None) is new
    assert repository.find("one", OLD) is old  # retired
    assert repository.recent_versions() == [("one", NEW), ("one", OLD)]
    repository.drop_held(7)
    repository.drop_held(7)
    with pytest.raises(UnknownModel):
        repository.find("two", "2" * 12)
    repository.remove("one")
    repository.remove("one")
    assert [repository.find("one", digest) for digest in (OLD, NEW)] == [old, new]
    assert sorted(repository.recent_versions()) == [("one", OLD), ("one", NEW)]
    with pytest.raises(UnknownModel):
        repository.find("one", None)


def test_a_file_that_was_never_served_is_removed_without_a_trace(tmp_path: Path):
    repository = repository_of(tmp_path, one=None)
    repository.remove("one")
    assert repository.recent_versions() == []
    assert repository._files == {}


def test_the_versions_of_a_generator_begin_with_the_present_one(tmp_path: Path):
    files = {f"one_{OLD}": served("one", OLD), "one": served("one", NEW), f"two_{OLD}": served("two", OLD)}
    repository = repository_of(tmp_path, **files, **{"one_222222222222": None})
    assert repository.versions("one") == (NEW, OLD)
    repository.set_present({"one": f"one@{OLD}"})
    assert repository.versions("one") == (OLD, NEW)
    assert repository.versions("two") == (OLD,)
    assert repository.versions("nobody") == ()


@pytest.mark.parametrize(
    ("is_up", "is_remote", "expected"), [(True, False, True), (False, False, False), (False, True, True), (True, True, True)]
)
def test_only_folders_must_be_readable(tmp_path: Path, is_up: bool, is_remote: bool, expected: bool):
    repository = repository_of(tmp_path)
    repository.set_state({}, [PlaceState("place", is_up, is_remote, None)], complete=False)
    assert repository.readable is expected


def test_errors_are_those_that_the_leader_has_sent_last(tmp_path: Path):
    repository = repository_of(tmp_path, one=served("one"))
    repository.set_state({"one": "bad", "two": "worse"}, (), complete=True)
    assert repository.load_errors() == {"one": "bad", "two": "worse"}
    repository.set_state({"one": "still bad"}, (), complete=True)
    assert repository.load_errors() == {"one": "still bad"}
    assert list(repository._files) == ["one"]
    repository.set_state({}, (), complete=True)
    assert repository.load_errors() == {}
    assert [each.generator.name for each in repository.all()] == ["one"]


@pytest.mark.parametrize(("determinism", "level"), [("exact", logging.INFO), ("approximate", logging.WARNING)])
def test_a_generator_with_approximate_outputs_is_a_warning(determinism: str, level: int):
    check = SimpleNamespace(describe=lambda card: "")
    generator = SimpleNamespace(determinism=determinism, check=check, card=None, name="one", digest12=NEW, provider="cpu")
    assert loaded_text(generator)[0] == level  # type: ignore[arg-type]


def leader_of(repository: ModelRepository) -> LocalLeader:
    return LocalLeader(repository, PlaceScanner(open_places(repository._settings), 3600))


async def tidy(repository: ModelRepository) -> None:
    """Run the work of one second of the background task."""
    repository._retired.end()
    await repository._release_memory()


def test_gauges_have_the_sums_of_all_batchers_and_zero_for_removed_generators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gauges: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(
        model_repository.metrics, "set_queue_size", lambda name, images, bulk: gauges.update({name: (images, bulk)})
    )
    repository = repository_of(tmp_path)
    batchers = [Batcher("one", 3, 1), Batcher("one", 4, 2), Batcher("two", 5, 0)]  # a replaced and a present version of `one`
    repository._batchers.update(batchers)  # type: ignore[arg-type]
    repository.update_metrics()
    assert gauges == {"one": (7, 3), "two": (5, 0)}
    del batchers[2]
    repository.update_metrics()
    assert gauges == {"one": (7, 3), "two": (0, 0)}


def test_gauges_are_updated_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(model_repository, "_METRICS_SECONDS", 0.001)

    async def scenario() -> None:
        updated = asyncio.Semaphore(0)
        repository = repository_of(tmp_path)
        monkeypatch.setattr(repository, "update_metrics", updated.release)
        await repository.start(wait_seconds=0)
        async with asyncio.timeout(60):
            for _ in range(3):
                await updated.acquire()
        await repository.close()

    asyncio.run(scenario())


def test_files_are_onnx_files_that_are_not_hidden(tmp_path: Path):
    for name in ("b.onnx", "a.onnx", ".a.onnx.temporary", ".hidden.onnx", "card.json", "c.onnx.part"):
        (tmp_path / name).write_bytes(b"x" * len(name))
    found = list_files(tmp_path)
    status = (tmp_path / "a.onnx").stat()
    assert list(found) == ["a", "b"]
    assert found["a"].version == (status.st_mtime_ns, status.st_ctime_ns, 6, status.st_ino)


def scans_that_release_memory(repository: ModelRepository, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Return a function that scans once, and returns whether the scan released memory."""
    calls: list[Any] = []
    monkeypatch.setattr(model_repository, "release_memory", lambda: calls.append(None))
    leader = leader_of(repository)

    async def scan_and_tidy() -> None:
        await leader.scan()
        await tidy(repository)

    def scan() -> bool:
        calls.clear()
        asyncio.run(scan_and_tidy())
        return len(calls) == 1

    return scan


def test_memory_is_released_after_a_file_is_refused_for_the_first_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bad.onnx").write_bytes(b"not a generator")
    scan = scans_that_release_memory(repository_of(tmp_path), monkeypatch)
    assert [scan(), scan()] == [True, False]


@pytest.mark.parametrize(
    ("error", "message"), [(OSError(5, "Input/output error", "/private/path"), "Input/output error"), (OSError("odd"), "odd")]
)
def test_error_of_an_unreadable_file_has_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, message: str):
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(generator_opener, "open_generator", fail)
    (tmp_path / "bad.onnx").write_bytes(b"x")
    repository = repository_of(tmp_path)
    asyncio.run(leader_of(repository).scan())
    assert repository.load_errors() == {"bad": message}


def test_memory_is_not_released_again_while_a_file_stays_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(generator_opener, "open_generator", fail)
    (tmp_path / "bad.onnx").write_bytes(b"x")
    scan = scans_that_release_memory(repository_of(tmp_path), monkeypatch)
    assert [scan() for _ in range(4)] == [True, False, False, False]


def test_memory_is_released_after_a_file_is_loaded_unless_its_content_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    check = SimpleNamespace(describe=lambda card: "exact")
    fields = {"name": "one", "digest": "0" * 64, "digest12": OLD, "id": ("one", OLD), "determinism": "exact", "provider": "cpu"}
    generator = SimpleNamespace(**fields, card=None, check=check)
    monkeypatch.setattr(model_repository, "open_descriptor", lambda *arguments: generator)
    monkeypatch.setattr(model_repository, "Batcher", lambda *arguments: Batcher())
    (tmp_path / "one.onnx").write_bytes(b"x")
    repository = repository_of(tmp_path)
    scan = scans_that_release_memory(repository, monkeypatch)
    assert [scan() for _ in range(2)] == [True, False]
    loaded = repository.find("one", None)
    os.utime(tmp_path / "one.onnx", ns=(1, 1))
    assert [scan() for _ in range(3)] == [False, False, False]
    assert repository.find("one", None) is loaded


def test_each_new_reason_of_a_server_that_is_not_ready_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    repository = repository_of(tmp_path)
    counts = []
    for files in ({}, {}, {"one": ModelFile(served=served("one"))}, {}, {}):
        repository._files = files
        assert repository.is_ready() == bool(files)
        counts.append(len(caplog.records))
    assert counts == [1, 1, 1, 2, 2]


def test_memory_is_released_when_the_number_of_batchers_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    repository = repository_of(tmp_path)
    scan = scans_that_release_memory(repository, monkeypatch)
    batchers = [Batcher()]
    repository._batchers.update(batchers)  # type: ignore[arg-type]
    assert [scan(), scan()] == [True, False]
    batchers.clear()
    assert [scan(), scan()] == [True, False]


def test_start_does_not_wait_longer_than_it_may(tmp_path: Path):
    async def scenario() -> None:
        repository = ModelRepository(read_settings({"SEEDMINT_MODELS": str(tmp_path)}))
        await asyncio.wait_for(repository.start(wait_seconds=0.01), 60)
        assert not repository.has_loaded
        await asyncio.wait_for(repository.close(), 60)

    asyncio.run(scenario())


def test_repository_is_closed_without_generators(tmp_path: Path):
    async def scenario() -> None:
        repository = ModelRepository(read_settings({"SEEDMINT_MODELS": str(tmp_path)}))
        await leader_of(repository).scan()
        await repository.start()
        assert repository.has_loaded
        await repository.close()
        assert not repository.has_loaded
        assert all(task.done() for task in repository._tasks)

    asyncio.run(scenario())

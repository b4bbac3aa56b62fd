"""Folders as places: links to the content folders of tools, several places, and versions side by side."""

import asyncio
import hashlib
import os
import threading
from pathlib import Path
from typing import IO

import pytest

from seedmint.models.errors import UserError
from seedmint.service.batching import place_scanner
from seedmint.service.batching.local_leader import LocalLeader
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.batching.place_scanner import PlaceScanner
from seedmint.service.places import remote_place
from seedmint.service.places.download_cache import DownloadCache
from seedmint.service.places.folder_place import FolderPlace, check_inside
from seedmint.service.places.opening import open_places
from seedmint.service.places.place import Listing
from seedmint.service.places.remote_place import RemotePlace
from seedmint.service.places.store import MAX_ALIASES_BYTES, RemoteFile, RemoteListing
from seedmint.service.settings import read_settings
from tests.support import generators
from tests.support.servers import PATIENCE, wait_until


def link(path: Path, target: Path) -> Path:
    for folder in (path.parent, target.parent):
        folder.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"content")
    path.symlink_to(target)
    return path


def test_links_inside_the_folder_and_to_the_content_of_tools_are_allowed(tmp_path: Path):
    hub = tmp_path / "models--user--repo"
    dvc = tmp_path / "work"
    (dvc / ".dvc").mkdir(parents=True)
    for path, target in (
        (tmp_path / "models" / "a.onnx", tmp_path / "models" / "..data" / "a.onnx"),
        (hub / "snapshots" / "0123" / "a.onnx", hub / "blobs" / "abcd"),
        (hub / "snapshots" / "0123" / "deep" / "a.onnx", hub / "blobs" / "cdef"),
        (dvc / "models" / "a.onnx", dvc / ".dvc" / "cache" / "files" / "md5" / "ab" / "cd"),
    ):
        check_inside(link(path, target), path.parent)


def test_other_links_are_refused(tmp_path: Path):
    hub = tmp_path / "models--user--repo"
    (hub / "blobs").mkdir(parents=True)
    for path, target in (
        (tmp_path / "models" / "a.onnx", tmp_path / "outside.onnx"),
        (hub / "snapshots" / "0123" / "a.onnx", tmp_path / "outside2.onnx"),
        (hub / "other" / "a.onnx", hub / "blobs" / "abcd"),
    ):
        with pytest.raises(UserError) as error:
            check_inside(link(path, target), path.parent)
        assert error.value.reason == "outside_directory"


def write_version(folder: Path, name: str, weights: int) -> str:
    """Write NAME@DIGEST12.onnx, and return the first digits of the digest."""
    content = generators.content(name, weights)
    digest12 = hashlib.sha256(content).hexdigest()[:12]
    generators.put(folder / f"{name}@{digest12}.onnx", content)
    return digest12


def test_versions_are_served_side_by_side_and_an_alias_pins_one(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    settings = read_settings({"SEEDMINT_MODELS": f"{first},{second}"})
    generators.write(second, "other")

    async def scenario() -> None:
        repository = ModelRepository(settings)
        leader = LocalLeader(repository, PlaceScanner(open_places(settings), 3600))

        async def present() -> str:
            for _ in range(2):  # a changed file is loaded at the second scan that finds the same version
                await leader.scan()
            return repository.find("one", None).generator.digest12

        old = write_version(first, "one", 1)
        assert await present() == old
        new = write_version(first, "one", 2)
        assert await present() == new
        (first / "aliases").write_text(f"one = one@{old}\n")
        assert await present() == old
        assert [served.generator.name for served in repository.all()] == ["one", "other"]
        assert {repository.find("one", digest).generator.digest12 for digest in (old, new)} == {old, new}
        (first / "aliases").write_text("one = two\n")
        assert await present() == old
        assert await present() == old
        assert sum(record.levelname == "ERROR" for record in caplog.records) == 1
        (first / f"one@{old}.onnx").unlink()
        (first / "aliases").unlink()
        assert await present() == new
        leader.close()
        await repository.close()

    asyncio.run(scenario())


def test_a_url_without_a_library_ends_the_start(tmp_path: Path):
    settings = read_settings({"SEEDMINT_MODELS": "nothing://x", "SEEDMINT_MODELS_CACHE": str(tmp_path)})
    with pytest.raises(UserError) as error:
        open_places(settings)
    assert (error.value.field, error.value.reason) == ("models", "unknown_protocol")


def test_a_folder_that_cannot_be_read_leaves_the_others_in_service(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    generators.write(first, "one", 1)
    generators.write(second, "one", 2)
    generators.write(second, "two")
    settings = read_settings({"SEEDMINT_MODELS": f"{first},{second}"})

    async def scenario() -> None:
        repository = ModelRepository(settings)
        leader = LocalLeader(repository, PlaceScanner(open_places(settings), 3600))
        await leader.scan()
        digest = repository.find("one", None).generator.digest
        assert digest == hashlib.sha256((first / "one.onnx").read_bytes()).hexdigest()
        second.rename(tmp_path / "gone")
        await leader.scan()
        assert [place.is_up for place in repository.places] == [True, False]
        assert [served.generator.name for served in repository.all()] == ["one", "two"]
        leader.close()
        await repository.close()

    asyncio.run(scenario())


def test_a_wrong_aliases_file_of_a_folder_leaves_its_generators_in_service(tmp_path: Path):
    folder = tmp_path / "models"
    folder.mkdir()
    generators.write(folder, "one")
    (folder / "aliases").write_bytes(b"#" * (MAX_ALIASES_BYTES + 1))
    scanner = PlaceScanner([FolderPlace(folder)], 3600)
    scan = scanner.scan()
    for change in scan.changes:
        assert change.descriptor is not None
        os.close(change.descriptor)
    assert [change.stem for change in scan.changes] == ["one"]
    assert scan.alias_errors[str(folder)].startswith("(too_large_file)")
    assert scan.statuses[0].error is None
    (folder / "aliases").unlink()
    (folder / "aliases").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").write_text("")
    assert scanner.scan().alias_errors[str(folder)].startswith("(outside_directory)")


class _SilentStore(FolderPlace):
    """A place that has not answered yet."""

    def list(self) -> Listing:
        return Listing()


def test_a_store_that_does_not_answer_does_not_keep_a_folder_unserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    folder = tmp_path / "models"
    folder.mkdir()
    generators.write(folder, "one")
    settings = read_settings({"SEEDMINT_MODELS": str(folder)})

    async def scenario() -> None:
        repository = ModelRepository(settings)
        leader = LocalLeader(repository, PlaceScanner([FolderPlace(folder), _SilentStore(tmp_path / "store")], 3600))
        await leader.scan()
        assert not repository.has_loaded
        (folder / "two.onnx").write_bytes(b"half of a copy")
        await leader.scan()
        monkeypatch.setattr(place_scanner, "_MAX_FIRST_SECONDS", -1.0)
        generators.write(folder, "two")
        await leader.scan()
        assert [served.generator.name for served in repository.all()] == ["one"]
        assert not [record for record in caplog.records if record.levelname == "ERROR"]  # the half of the copy was not read
        leader.close()
        await repository.close()

    asyncio.run(scenario())


def test_a_store_that_takes_long_to_list_does_not_delay_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answer = threading.Event()

    class Slow:
        def list(self) -> RemoteListing:
            answer.wait(PATIENCE)
            return RemoteListing((RemoteFile("slow", "1"),))

        def fetch(self, file: RemoteFile, target: IO[bytes]) -> None:
            target.write(generators.content("slow"))

    class Quick(Slow):
        def list(self) -> RemoteListing:
            return RemoteListing((RemoteFile("quick", "1"),))

        def fetch(self, file: RemoteFile, target: IO[bytes]) -> None:
            target.write(generators.content("quick"))

    monkeypatch.setattr(remote_place, "open_store", lambda url: Slow() if "slow" in url else Quick())
    cache = DownloadCache(tmp_path / "cache")
    places = [RemotePlace(url, cache, 0.01) for url in ("s3://slow/x", "s3://quick/x")]
    scanner = PlaceScanner(places, 0.01)
    stems: list[str] = []
    scanner.start()

    def found(stem: str) -> bool:
        for scan in scanner.take():
            for change in scan.changes:
                assert change.descriptor is not None
                os.close(change.descriptor)
                stems.append(change.stem)
        return stem in stems

    try:
        wait_until(lambda: found("quick"))
        assert "slow" not in stems
        wait_until(lambda: places[1].status().is_tried)
        assert not places[0].status().is_tried
        answer.set()
        wait_until(lambda: found("slow"))
    finally:
        answer.set()
        scanner.close()

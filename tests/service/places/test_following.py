"""A remote place follows a store, which answers from memory: versions, refused files, aliases, and attempts after errors."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from seedmint.models.errors import UserError
from seedmint.service.places import remote_place
from seedmint.service.places.download_cache import DownloadCache
from seedmint.service.places.remote_place import RemotePlace, described, open_store
from seedmint.service.places.store import RemoteFile, RemoteListing, StoreError
from tests.support.errors import raises

URL = "s3://bucket/generators"


class Store:
    """A store in memory. `errors` has an error for each file, or for "aliases" or "list"."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[RemoteFile, bytes]] = {}
        self.aliases: tuple[str, bytes] | None = None
        self.errors: dict[str, Exception] = {}
        self.fetched: list[str] = []

    def put(
        self, stem: str, content: bytes, version: str = "1", digest: str | None = None, modified: float | None = 7.0
    ) -> None:
        self.files[stem] = RemoteFile(stem, version, len(content), modified, digest), content

    def _fail(self, name: str) -> None:
        if name in self.errors:
            raise self.errors[name]

    def list(self) -> RemoteListing:
        self._fail("list")
        return RemoteListing(tuple(file for file, _ in self.files.values()), self.aliases and self.aliases[0])

    def fetch(self, file: RemoteFile, target: IO[bytes]) -> None:
        self.fetched.append(file.stem)
        self._fail(file.stem)
        target.write(self.files[file.stem][1])

    def read_aliases(self) -> bytes:
        self.fetched.append("aliases")
        self._fail("aliases")
        assert self.aliases is not None
        return self.aliases[1]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    found = Store()
    monkeypatch.setattr(remote_place, "open_store", lambda url: found)
    return found


@pytest.fixture
def place(cache: DownloadCache, store: Store) -> RemotePlace:
    return RemotePlace(URL, cache, 60)


def reasons(place: RemotePlace) -> dict[str, str]:
    """Return the reason of each refused file."""
    return {stem: error.reason for stem, error in place.list().errors.items() if isinstance(error, UserError)}


def reason_of(error: Exception | None) -> str | None:
    return error.reason if isinstance(error, UserError) else None


def test_each_version_is_downloaded_once(place: RemotePlace, store: Store):
    store.put("a", b"1")
    store.put("b", b"2", modified=None)
    for _ in range(2):
        assert place.sync().error is None
    assert store.fetched == ["a", "b"]
    files = place.list().files
    assert {stem: Path(file.path).read_bytes() for stem, file in files.items()} == {"a": b"1", "b": b"2"}
    assert files["a"].modified == 7.0
    assert files["b"].modified > 1e9
    assert all(file.is_whole for file in files.values())
    store.put("a", b"3", "2")
    del store.files["b"]
    place.sync()
    assert store.fetched == ["a", "b", "a"]
    changed = place.list().files
    assert list(changed) == ["a"]
    assert changed["a"].version != files["a"].version
    with os.fdopen(place.open(changed["a"]), "rb") as opened:
        assert opened.read() == b"3"


def test_the_same_content_with_another_version_is_another_version(place: RemotePlace, store: Store):
    store.put("a", b"1", "1")
    place.sync()
    before = place.list().files["a"].version
    store.put("a", b"1", "2")
    place.sync()
    assert place.list().files["a"].version != before


def test_only_the_chosen_files_are_downloaded(place: RemotePlace, store: Store):
    store.put("a", b"1")
    store.put("b", b"2")
    place.sync(lambda stem: stem == "b")
    assert list(place.list().files) == ["b"]


def test_a_wrong_file_is_refused_until_it_changes(place: RemotePlace, store: Store):
    store.put("a", b"1", digest="0" * 64)
    store.put("x" * 201, b"2")
    store.put("y" * 200, b"3")
    for _ in range(2):
        assert place.sync().error is None
    assert reasons(place) == {"a": "wrong_digest", "x" * 201: "too_long_name"}
    assert store.fetched == ["a", "y" * 200]
    store.put("a", b"1", "2")
    place.sync()
    assert reasons(place) == {"x" * 201: "too_long_name"}
    assert list(place.list().files) == ["y" * 200, "a"]
    del store.files["x" * 201]
    place.sync()
    assert reasons(place) == {}


def test_a_refused_version_leaves_the_former_version_and_is_forgotten_when_the_former_returns(place: RemotePlace, store: Store):
    store.put("a", b"1", "1")
    place.sync()
    store.put("a", b"2", "2", digest="0" * 64)
    place.sync()
    assert reasons(place) == {"a": "wrong_digest"}
    assert place.list().files["a"].path.read_bytes() == b"1"
    store.put("a", b"1", "1")
    place.sync()
    assert reasons(place) == {}


def test_the_first_error_of_a_download_is_that_of_the_place_and_the_others_are_downloaded(place: RemotePlace, store: Store):
    for stem in ("a", "b", "c"):
        store.put(stem, stem.encode())
    store.errors = {"a": ConnectionError("reset"), "b": StoreError("status 500", reason="status")}
    status = place.sync()
    assert reason_of(status.error) == "download_failed"
    assert (status.is_known, status.is_tried, status.read_at) == (True, True, None)
    assert list(place.list().files) == ["c"]
    del store.errors["a"]
    assert reason_of(place.sync().error) == "status"
    store.errors.clear()
    status = place.sync()
    assert status.error is None
    assert status.read_at is not None
    store.errors = {"list": ConnectionError("no route")}
    assert place.sync().read_at == status.read_at
    assert list(place.list().files) == ["c", "a", "b"]


def test_a_full_cache_is_an_error_of_the_place(tmp_path: Path, store: Store):
    place = RemotePlace(URL, DownloadCache(tmp_path, 3), 60)
    store.put("a", b"123")
    place.sync()
    store.put("b", b"4")
    assert reason_of(place.sync().error) == "cache_full"
    assert list(place.list().files) == ["a"]


def test_aliases_are_read_when_they_change(place: RemotePlace, store: Store):
    assert place.sync().error is None
    assert place.list().aliases is None
    for version, text in (("1", b"a = a@0"), ("1", b"not read"), ("2", b"\xff"), (None, b"")):
        store.aliases = None if version is None else (version, text)
        place.sync()
    assert store.fetched == ["aliases", "aliases"]
    assert place.list().aliases is None


@pytest.mark.parametrize(
    ("error", "attempts"), [(StoreError("large", reason="too_large_file"), 1), (PermissionError(13, "Permission denied"), 2)]
)
def test_aliases_that_cannot_be_read_are_an_error_of_their_own(
    place: RemotePlace, store: Store, error: Exception, attempts: int
):
    store.aliases = ("1", b"a = a@0")
    place.sync()
    store.aliases, store.errors = ("2", b"a = a@1"), {"aliases": error}
    store.fetched.clear()
    for _ in range(2):
        assert place.sync().error is None
    assert place.list().aliases == "a = a@0"
    assert place.list().aliases_error is error
    assert len(store.fetched) == attempts
    store.aliases, store.errors = ("3", b"a = a@1"), {}
    place.sync()
    assert (place.list().aliases, place.list().aliases_error) == ("a = a@1", None)


def test_aliases_behind_a_broken_connection_are_an_error_of_the_place(place: RemotePlace, store: Store):
    store.aliases, store.errors = ("1", b""), {"aliases": ConnectionError("reset")}
    store.put("a", b"1")
    assert reason_of(place.sync().error) == "download_failed"
    assert list(place.list().files) == ["a"]
    assert place.list().aliases_error is None


def test_a_change_is_announced_once(place: RemotePlace, store: Store, monkeypatch: pytest.MonkeyPatch):
    announced: list[int] = []
    monkeypatch.setattr(place, "_on_change", lambda: announced.append(len(place.list().files)))
    place.sync()
    assert announced  # the place was tried
    announced.clear()
    place.sync()
    assert announced == []
    for stem in ("a", "b"):
        store.put(stem, b"1")
    place.sync()
    assert announced == [1, 2]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UserError("no", reason="odd"), "odd"),
        (FileNotFoundError("bucket"), "not_found"),
        (FileNotFoundError(2, "No such file"), "not_found"),
        (ConnectionError("\n\n first\nsecond"), "download_failed"),
        (ConnectionError(), "download_failed"),
    ],
)
def test_errors_of_libraries_have_a_reason_and_one_line(error: Exception, reason: str):
    found = described(error)
    assert found.reason == reason
    assert str(found).strip()
    assert "\n" not in str(found)


def test_urls_of_web_servers_are_single_files():
    assert type(open_store("https://host/a.onnx")).__name__ == "WebFile"
    assert type(open_store("memory://bucket")).__name__ == "ObjectStore"
    with raises(UserError, "unknown_protocol"):
        open_store("nothing://bucket")


def test_the_thread_follows_the_store_until_it_is_closed(cache: DownloadCache, store: Store):
    place = RemotePlace(URL, cache, 3600)
    store.put("a", b"1")
    place.start(lambda: None)
    _wait(lambda: "a" in place.list().files)
    store.put("b", b"2")
    place.refresh()
    _wait(lambda: "b" in place.list().files)
    place.close()
    place._thread.join(60)
    assert not place._thread.is_alive()
    again = RemotePlace(URL, cache, 3600)  # the lock is released
    assert sorted(again.list().files) == ["a", "b"]
    again.close()


def test_a_store_that_fails_is_tried_again_sooner(cache: DownloadCache, store: Store, monkeypatch: pytest.MonkeyPatch):
    waited: list[float] = []
    place = RemotePlace(URL, cache, 6)
    store.errors = {"list": ConnectionError("no route")}

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 5:
            store.errors.clear()
        place._is_closed = len(waited) == 6

    monkeypatch.setattr(place._wake, "wait", wait)
    place._run()
    assert waited == [1, 2, 4, 6, 6, 6]


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)

"""The cache of downloads: files by digest, what was stored for a URL, checks of downloads, and the bounded size."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from seedmint.models.runtime import generator_file
from seedmint.service.places.download_cache import CacheFullError, DownloadCache
from seedmint.service.places.store import RemoteFile, StoreError
from tests.support.errors import raises

URL = "s3://bucket/generators/a"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def writes(*parts: bytes) -> Callable[[IO[bytes]], None]:
    """Return a download of these parts."""

    def download(target: IO[bytes]) -> None:
        for part in parts:
            assert target.write(part) == len(part)

    return download


def names(cache: DownloadCache) -> set[str]:
    """Return the contents of the files of the cache, by their digests."""
    return {path.stem for path in cache.directory.glob("*.onnx")}


def age(cache: DownloadCache, content: bytes, seconds: float) -> None:
    """Let a file be used for the last time before these seconds."""
    path = cache.path_of(digest_of(content))
    now = path.stat().st_mtime
    os.utime(path, (now - seconds, now - seconds))


@pytest.fixture
def small(tmp_path: Path) -> DownloadCache:
    """A cache of 10 bytes."""
    return DownloadCache(tmp_path / "small", 10)


def test_a_file_is_found_by_its_digest_or_the_first_digits(cache: DownloadCache):
    path = cache.keep(b"1")
    digest = digest_of(b"1")
    assert path == cache.path_of(digest)
    for text in (digest, digest[:12], digest[:40]):
        assert cache.find(text) == b"1"
        assert cache.verified_digest(text) == digest
    for text in (digest[:11], digest + "0", "0" * 12, digest[:12].upper(), f"{digest[:12]}*", "../" + digest):
        assert cache.find(text) is None
        assert cache.verified_digest(text) is None


def test_a_damaged_file_is_removed_and_not_found(cache: DownloadCache):
    path = cache.keep(b"1")
    path.write_bytes(b"2")
    assert cache.find(path.stem) is None
    assert not path.exists()


def test_what_was_stored_for_a_version_of_a_url_is_found(cache: DownloadCache):
    cache.store(URL, "1", b"1")
    cache.store("s3://bucket/other", "1", b"2")
    assert cache.lookup(URL, "1") == b"1"
    assert cache.lookup_digest(URL, "1") == digest_of(b"1")
    assert cache.lookup(URL, "2") is None
    assert cache.lookup_digest("s3://bucket", "1") is None
    cache.path_of(digest_of(b"1")).unlink()
    assert (cache.lookup(URL, "1"), cache.lookup_digest(URL, "1")) == (None, None)


@pytest.mark.parametrize(
    "entry", [b"{", b"[]", b"{}", b'{"digest": 1, "version": "1"}', b'{"digest": "../x", "version": "1"}', b"\xff"]
)
def test_a_damaged_record_is_none(cache: DownloadCache, entry: bytes):
    cache.record(URL, "1", "0" * 64)
    (path,) = cache.directory.glob("*.json")
    assert json.loads(path.read_bytes()) == {"url": URL, "version": "1", "digest": "0" * 64}
    path.write_bytes(entry)
    assert cache.lookup(URL, "1") is None


def test_a_file_that_is_larger_than_the_cache_is_not_stored(small: DownloadCache):
    small.store(URL, "1", bytes(10))
    assert small.lookup(URL, "1") == bytes(10)
    small.store(URL, "2", bytes(11))
    assert small.lookup(URL, "2") is None
    assert names(small) == {digest_of(bytes(10))}


def test_the_files_that_were_not_used_for_the_longest_time_are_removed(small: DownloadCache):
    for seconds, content in ((3, b"aaaa"), (2, b"bbbb"), (1, b"cc")):
        small.keep(content)
        age(small, content, seconds)
    assert len(names(small)) == 3  # ten bytes
    assert small.find(digest_of(b"aaaa")) == b"aaaa"  # a use
    small.keep(b"d")
    assert names(small) == set(map(digest_of, (b"aaaa", b"cc", b"d")))


def test_the_newest_file_and_files_in_use_stay(small: DownloadCache, tmp_path: Path):
    used = small.keep(b"aaaaaaaa")
    os.link(used, tmp_path / "link")
    age(small, b"aaaaaaaa", 2)
    small.keep(bytes(11))
    assert names(small) == {used.stem, digest_of(bytes(11))}


def test_a_download_is_checked_and_stored_as_a_whole(cache: DownloadCache):
    digest = digest_of(b"one two")
    assert cache.receive(writes(b"one", b" two"), 7, digest) == digest
    assert cache.receive(writes(b"one two"), None, digest[:12]) == digest
    assert cache.receive(writes(b"one two"), None, None) == digest
    assert cache.path_of(digest).read_bytes() == b"one two"
    assert [path.name for path in cache.directory.iterdir()] == [f"{digest}.onnx"]


@pytest.mark.parametrize(
    ("size", "expected", "reason"),
    [(2, None, "truncated"), (4, None, "truncated"), (3, "0" * 64, "wrong_digest"), (None, "0" * 12, "wrong_digest")],
)
def test_a_wrong_download_leaves_nothing(cache: DownloadCache, size: int | None, expected: str | None, reason: str):
    with raises(StoreError, reason):
        cache.receive(writes(b"one"), size, expected)
    assert list(cache.directory.iterdir()) == []


def test_a_download_that_fails_leaves_nothing(cache: DownloadCache):
    def fail(target: IO[bytes]) -> None:
        target.write(b"half")
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError):
        cache.receive(fail, None, None)
    assert list(cache.directory.iterdir()) == []


def test_a_download_ends_at_the_largest_size(small: DownloadCache, cache: DownloadCache, monkeypatch: pytest.MonkeyPatch):
    assert small.receive(writes(bytes(10)), None, None)
    with raises(StoreError, "too_large_file"):
        small.receive(writes(bytes(6), bytes(5)), None, None)
    monkeypatch.setattr(generator_file, "MAX_FILE_BYTES", 4)
    assert cache.receive(writes(bytes(4)), None, None)
    with raises(StoreError, "too_large_file"):
        cache.receive(writes(bytes(5)), None, None)


def test_a_download_has_room_before_it_begins_and_when_its_size_is_known(small: DownloadCache):
    small.keep(b"aaaaaa")
    age(small, b"aaaaaa", 2)
    small.keep(b"bb")
    age(small, b"bb", 1)

    def download(target: IO[bytes]) -> None:
        assert names(small) == {digest_of(b"bb")}
        target.write(bytes(8))

    small.receive(download, 8, None)
    assert names(small) == {digest_of(b"bb"), digest_of(bytes(8))}
    small.receive(writes(b"c"), None, None)
    assert names(small) == {digest_of(bytes(8)), digest_of(b"c")}


def test_files_in_use_leave_no_room(small: DownloadCache, tmp_path: Path):
    os.link(small.keep(b"aaaaaa"), tmp_path / "link")
    with raises(CacheFullError, "cache_full", "models_cache_bytes"):
        small.receive(writes(bytes(5)), 5, None)
    with raises(CacheFullError, "cache_full"):
        small.receive(writes(bytes(5)), None, None)
    assert small.receive(writes(bytes(4)), 4, None)


def test_a_view_that_no_server_uses_makes_room(small: DownloadCache):
    path = small.keep(b"aaaaaa")
    view = small.directory / "places" / "view"
    view.mkdir(parents=True)
    os.link(path, view / "a.onnx")
    assert small.receive(writes(bytes(9)), 9, None)
    assert names(small) == {digest_of(bytes(9))}
    assert not view.exists()


def test_temporary_files_of_an_hour_ago_are_removed(cache: DownloadCache):
    cache.keep(b"1")
    paths = [cache.directory / name for name in (".old", ".new")]
    for path, seconds in zip(paths, (3610.0, 3590.0), strict=True):
        path.write_bytes(b"")
        now = path.stat().st_mtime
        os.utime(path, (now - seconds, now - seconds))
    (cache.directory / ".folder").mkdir()
    os.utime(cache.directory / ".folder", (0, 0))
    cache.receive(writes(b"2"), None, None)
    assert [path.exists() for path in paths] == [False, True]
    assert (cache.directory / ".folder").is_dir()


class Store:
    """A store whose files have a content."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.count = 0

    def fetch(self, file: RemoteFile, target: IO[bytes]) -> None:
        self.count += 1
        target.write(self.content)


@pytest.mark.parametrize(
    "file",
    [
        RemoteFile("a", "1", 3, None, digest_of(b"one")),
        RemoteFile(f"a@{digest_of(b'one')[:12]}", "1"),
        RemoteFile(f"a@{'0' * 12}", "1", None, None, digest_of(b"one")),  # the store knows better
    ],
)
def test_a_file_with_a_known_digest_is_downloaded_once(cache: DownloadCache, file: RemoteFile):
    store = Store(b"one")
    for _ in range(2):
        assert cache.fetch(store, file) == digest_of(b"one")  # type: ignore[arg-type]
    assert store.count == 1


def test_a_file_without_a_digest_is_downloaded_each_time(cache: DownloadCache):
    store = Store(b"one")
    for _ in range(2):
        assert cache.fetch(store, RemoteFile("a", "1")) == digest_of(b"one")  # type: ignore[arg-type]
    assert store.count == 2
    with raises(StoreError, "truncated"):
        cache.fetch(store, RemoteFile("a", "1", 2))  # type: ignore[arg-type]

"""The view of a remote place: files by stem, an index that outlives the server, and the locks."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from seedmint.service.places import view as module
from seedmint.service.places.download_cache import DownloadCache
from seedmint.service.places.view import View, ViewFile, drop_unused_view

URL = "s3://bucket/generators"


def put(cache: DownloadCache, view: View, stem: str, content: bytes, version: str = "1") -> ViewFile:
    path = cache.keep(content)
    view.put(stem, ViewFile(version, path.stem, 5.0))
    return view.files[stem]


def opened(cache: DownloadCache, url: str = URL) -> View:
    return View(cache.directory, url)


def test_a_place_is_known_after_its_first_listing_also_to_the_next_server(cache: DownloadCache):
    view = opened(cache)
    assert (view.is_known, view.files, view.aliases, view.aliases_version) == (False, {}, None, None)
    view.close()
    view = opened(cache)
    assert not view.is_known
    view.set_known()
    assert view.is_known
    view.close()
    assert opened(cache).is_known


def test_files_and_aliases_outlive_the_server(cache: DownloadCache):
    view = opened(cache)
    file = put(cache, view, "a", b"1")
    view.set_aliases("7", "a = a@0")
    view.close()
    view = opened(cache)
    assert view.files == {"a": file}
    assert (view.aliases, view.aliases_version) == ("a = a@0", "7")
    assert view.path("a").read_bytes() == b"1"
    other = opened(cache, "s3://bucket/other")
    assert (other.is_known, other.files) == (False, {})


def test_a_file_is_a_link_that_is_replaced_and_removed(cache: DownloadCache):
    view = opened(cache)
    first = put(cache, view, "a", b"1")
    assert view.path("a").stat().st_nlink == 2
    second = put(cache, view, "a", b"2", "2")
    assert view.path("a").read_bytes() == b"2"
    old = cache.path_of(first.digest)
    assert old.stat().st_nlink == 1
    put(cache, view, "a", b"2", "3")  # the same content
    assert view.files["a"].version == "3"
    assert sorted(path.name for path in view.path("a").parent.iterdir()) == [".lock", "a.onnx", "index.json"]
    view.remove("a")
    assert view.files == {}
    assert not view.path("a").exists()
    assert cache.path_of(second.digest).exists()
    view.close()
    assert opened(cache).files == {}


@pytest.mark.parametrize("change", ["replace", "remove"])
def test_a_replaced_or_removed_file_counts_as_used_until_now(cache: DownloadCache, change: str):
    view = opened(cache)
    path = cache.path_of(put(cache, view, "a", b"1").digest)
    os.utime(path, (1, 1))
    if change == "replace":
        put(cache, view, "a", b"2")
    else:
        view.remove("a")
    assert path.stat().st_mtime > 1


def test_damaged_files_are_forgotten_here_and_in_the_cache(cache: DownloadCache):
    view = opened(cache)
    for stem, content in (("a", b"1"), ("b", b"2"), ("c", b"3")):
        put(cache, view, stem, content)
    view.path("a").write_bytes(b"damaged")  # also the file of the cache, which is the same file
    view.path("b").unlink()
    view.close()
    view = opened(cache)
    assert list(view.files) == ["c"]
    assert not view.path("a").exists()
    assert [path.stem for path in cache.directory.glob("*.onnx")] == [hashlib.sha256(b"3").hexdigest()]


@pytest.mark.parametrize(
    "index", [b"{", b"[]", b"{}", b'{"files": {"a": {}}, "aliases_version": null, "aliases": null}', b"\xff"]
)
def test_a_damaged_index_is_that_of_an_unknown_place(cache: DownloadCache, index: bytes):
    view = opened(cache)
    put(cache, view, "a", b"1")
    view.close()
    (view.path("a").parent / "index.json").write_bytes(index)
    view = opened(cache)
    assert (view.is_known, view.files) == (False, {})


def test_a_second_server_with_the_same_place_has_files_of_its_own(cache: DownloadCache, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_MAX_SERVERS", 3)
    views = [opened(cache) for _ in range(3)]
    put(cache, views[0], "a", b"1")
    assert views[1].files == {}
    folders = [view.path("a").parent for view in views]
    assert [folder.name for folder in folders[1:]] == [f"{folders[0].name}-1", f"{folders[0].name}-2"]
    with pytest.raises(OSError, match=r"\[Errno") as error:
        opened(cache)
    assert error.value.errno == errno.EBUSY
    views[1].close()
    assert opened(cache).path("a").parent == folders[1]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_file_is_copied_where_there_are_no_links(cache: DownloadCache, monkeypatch: pytest.MonkeyPatch, code: int):
    def fail(source: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", fail)
    view = opened(cache)
    put(cache, view, "a", b"1")
    assert view.path("a").read_bytes() == b"1"
    assert view.path("a").stat().st_nlink == 1


def test_other_errors_of_a_link_leave_the_view_as_it_was(cache: DownloadCache):
    view = opened(cache)
    with pytest.raises(FileNotFoundError):
        view.put("a", ViewFile("1", "0" * 64, 5.0))  # the cache has no such file
    assert view.files == {}
    assert [path.name for path in view.path("a").parent.iterdir()] == [".lock"]


def test_the_view_that_was_not_used_for_the_longest_time_is_removed_first(cache: DownloadCache):
    for number, url in enumerate(("s3://one", "s3://two", "s3://three")):
        view = opened(cache, url)
        put(cache, view, "a", url.encode())
        os.utime(view.path("a").parent / "index.json", (9 - number, 9 - number))
        if url != "s3://three":
            view.close()
    assert drop_unused_view(cache.directory)
    assert opened(cache, "s3://two").files == {}
    one = opened(cache, "s3://one")
    assert list(one.files) == ["a"]
    one.close()
    assert drop_unused_view(cache.directory)
    assert not drop_unused_view(cache.directory)  # a server uses the last one
    assert not [path for path in (cache.directory / "places").iterdir() if path.name.startswith(".")]


def test_a_view_without_files_makes_no_room(cache: DownloadCache):
    opened(cache).close()
    assert not drop_unused_view(cache.directory)
    assert not drop_unused_view(cache.directory / "nothing")


def test_a_folder_that_is_removed_while_it_is_locked_is_made_again(cache: DownloadCache, monkeypatch: pytest.MonkeyPatch):
    lock, attempts = module._lock, []

    def removed_once(directory: Path) -> int:
        attempts.append(directory)
        if len(attempts) == 1:
            directory.rmdir()
        return lock(directory)

    monkeypatch.setattr(module, "_lock", removed_once)
    assert opened(cache).path("a").parent.is_dir()
    assert len(attempts) == 2

"""Remote places: object stores, the Hub and web servers, with faults, damaged downloads and a bounded cache."""

import errno
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import IO

import pytest

from seedmint.models.errors import UserError
from seedmint.service.batching.place_scanner import reason_and_message
from seedmint.service.places.download_cache import CacheFullError, DownloadCache
from seedmint.service.places.object_store import ObjectStore
from seedmint.service.places.remote_place import RemotePlace
from seedmint.service.places.store import MAX_ALIASES_BYTES, RemoteFile, StoreError
from seedmint.service.places.view import View, ViewFile, drop_unused_view
from tests.support.hub_server import REPOSITORY, Hub, hub
from tests.support.s3_storage import S3Server
from tests.support.stand_in import JsonHandler, running

URL = "s3://bucket/generators"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(s3: S3Server, name: str, content: bytes) -> None:
    s3.client.put_object(Bucket="bucket", Key=f"generators/{name}", Body=content)


def remove(s3: S3Server, name: str) -> None:
    s3.client.delete_object(Bucket="bucket", Key=f"generators/{name}")


def contents(place: RemotePlace) -> dict[str, bytes]:
    """Return the bytes of each file that the place offers, read as the scanner reads them."""
    found = {}
    for stem, file in place.list().files.items():
        with os.fdopen(place.open(file), "rb") as opened:
            found[stem] = opened.read()
    return found


def test_a_place_follows_an_object_store(s3: S3Server, cache: DownloadCache):
    place = RemotePlace(URL, cache, 60)
    put(s3, "a.onnx", b"1")
    put(s3, "notes.txt", b"")
    put(s3, "deep/b.onnx", b"")
    assert place.sync().error is None
    assert contents(place) == {"a": b"1"}
    gets = s3.counts()["GET"]
    assert place.sync().error is None
    assert s3.counts()["GET"] == gets  # the ETag has not changed
    put(s3, "a.onnx", b"12")
    put(s3, "c.onnx", b"3")
    put(s3, "aliases", b"a = a@000000000000")
    place.sync()
    assert contents(place) == {"a": b"12", "c": b"3"}
    assert place.list().aliases == "a = a@000000000000"
    remove(s3, "a.onnx")
    remove(s3, "aliases")
    place.sync()
    assert contents(place) == {"c": b"3"}
    assert place.list().aliases is None


def test_files_stay_while_the_store_is_down_and_after_a_restart(
    s3: S3Server, cache: DownloadCache, monkeypatch: pytest.MonkeyPatch
):
    put(s3, "a.onnx", b"1")
    first = RemotePlace(URL, cache, 60)
    assert not first.status().is_known
    first.sync()
    monkeypatch.setattr(ObjectStore, "list", _fail)
    status = first.sync()
    assert (status.is_known, type(status.error)) == (True, StoreError)
    assert contents(first) == {"a": b"1"}
    second = RemotePlace(URL, cache, 60)  # another server with the same cache
    assert not second.status().is_known
    first.close()
    restarted = RemotePlace(URL, cache, 60)
    assert restarted.status().is_known
    assert contents(restarted) == {"a": b"1"}


def _fail(store: ObjectStore) -> None:
    raise ConnectionError("no route to the store")


def test_a_store_that_fails_half_the_time_loses_nothing(s3: S3Server, cache: DownloadCache):
    for number in range(6):
        put(s3, f"g{number}.onnx", bytes([number]) * 1000)
    s3.set_faults(2)
    place = RemotePlace(URL, cache, 60)
    for _ in range(30):
        place.sync()
        assert all(content == bytes([int(stem[1:])]) * 1000 for stem, content in contents(place).items())
        if len(contents(place)) == 6:
            break
    assert len(contents(place)) == 6


def test_a_truncated_download_is_not_offered_and_tried_again(
    s3: S3Server, cache: DownloadCache, monkeypatch: pytest.MonkeyPatch
):
    fetch = ObjectStore.fetch
    put(s3, "a.onnx", b"whole content")
    monkeypatch.setattr(ObjectStore, "fetch", lambda store, file, target: target.write(b"whole"))
    place = RemotePlace(URL, cache, 60)
    error = place.sync().error
    assert isinstance(error, UserError)
    assert error.reason == "truncated"
    assert contents(place) == {}
    assert [path for path in cache.directory.iterdir() if path.is_file()] == []
    monkeypatch.setattr(ObjectStore, "fetch", fetch)
    assert place.sync().error is None
    assert contents(place) == {"a": b"whole content"}


def test_a_file_with_another_digest_than_its_name_is_refused_until_it_changes(s3: S3Server, cache: DownloadCache):
    good, name = b"good", f"a@{digest_of(b'good')[:12]}"
    put(s3, f"{name}.onnx", b"bad")
    place = RemotePlace(URL, cache, 60)
    assert place.sync().error is None
    errors = place.list().errors
    assert [(stem, error.reason) for stem, error in errors.items()] == [(name, "wrong_digest")]  # type: ignore[attr-defined]
    gets = s3.counts()["GET"]
    place.sync()
    assert s3.counts()["GET"] == gets
    put(s3, f"{name}.onnx", good)
    place.sync()
    assert (contents(place), place.list().errors) == ({name: good}, {})


def test_the_cache_keeps_its_bound_and_the_files_that_are_served(s3: S3Server, tmp_path: Path):
    cache = DownloadCache(tmp_path / "cache", max_bytes=2500)
    place = RemotePlace(URL, cache, 60)
    for number in range(5):
        put(s3, "a.onnx", bytes([number]) * 1000)
        assert place.sync().error is None
        assert sum(path.stat().st_size for path in cache.directory.glob("*.onnx")) <= 2500
    put(s3, "b.onnx", b"b" * 1000)
    assert place.sync().error is None
    put(s3, "c.onnx", b"c" * 1000)
    assert isinstance(place.sync().error, CacheFullError)
    assert set(contents(place)) == {"a", "b"}
    place.close()
    other = RemotePlace("s3://bucket/other", cache, 60)  # takes the room of a place that no server uses
    s3.client.put_object(Bucket="bucket", Key="other/d.onnx", Body=b"d" * 1000)
    assert other.sync().error is None
    assert contents(other) == {"d": b"d" * 1000}


def test_a_damaged_file_of_the_cache_is_downloaded_again(s3: S3Server, cache: DownloadCache):
    put(s3, "a.onnx", b"content")
    place = RemotePlace(URL, cache, 60)
    place.sync()
    place.list().files["a"].path.write_bytes(b"damaged")
    place.close()
    place = RemotePlace(URL, cache, 60)
    assert contents(place) == {}
    place.sync()
    assert contents(place) == {"a": b"content"}


def test_a_process_that_is_killed_in_a_download_leaves_no_file(cache: DownloadCache):
    def die(target: IO[bytes]) -> None:
        target.write(b"half of the content")
        os._exit(0)

    child = os.fork()
    if child == 0:
        cache.receive(die, None, None)
    os.waitpid(child, 0)
    (left,) = cache.directory.iterdir()
    assert left.name.startswith(".")
    cache.receive(lambda target: target.write(b"whole") and None, 5, None)
    assert [path.name for path in cache.directory.iterdir()] == [f"{digest_of(b'whole')}.onnx"]


@pytest.fixture
def local_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    import huggingface_hub.constants

    with hub() as state:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", state.url)
        template = f"{state.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        huggingface_hub.HfFileSystem.clear_instance_cache()
        yield state
        huggingface_hub.HfFileSystem.clear_instance_cache()


def test_a_place_follows_a_repository_of_the_hub(local_hub: Hub, cache: DownloadCache):
    place = RemotePlace(f"hf://{REPOSITORY}@main", cache, 60)
    local_hub.files["a.onnx"] = b"1"
    assert place.sync().error is None
    assert contents(place) == {"a": b"1"}
    local_hub.files["a.onnx"] = b"12"
    local_hub.files["b.onnx"] = b"3"
    assert place.sync().error is None
    assert contents(place) == {"a": b"12", "b": b"3"}
    del local_hub.files["a.onnx"]
    place.sync()
    assert contents(place) == {"b": b"3"}
    nothing = RemotePlace("hf://user/nothing", cache, 60)
    assert nothing.sync().error is not None
    assert not nothing.status().is_known


class Web:
    """The state of a web server with one file.

    Attributes:
        content: The file; None if it is gone.
        status: Status of all answers; None for the right one.
        validators: Whether the answers have an ETag.
        statuses: The statuses of the answers so far.
        is_cut: Whether the body of the answers is cut.
    """

    def __init__(self) -> None:
        self.url = ""
        self.content: bytes | None = b"1"
        self.status: int | None = None
        self.validators = True
        self.is_cut = False
        self.statuses: list[int] = []


class _WebHandler(JsonHandler, BaseHTTPRequestHandler):
    state: Web

    def do_GET(self) -> None:
        state, content = self.state, self.state.content
        etag = f'"{digest_of(content or b"")}"'
        if state.status is not None or content is None:
            self._answer(state.status or 404, b"")
        elif self.headers.get("If-None-Match") == etag:
            self._answer(304, b"")
        else:
            headers = {"ETag": etag} if state.validators else {}
            self._answer(200, content[: len(content) // 2] if state.is_cut else content, headers, len(content))

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int = 0) -> None:
        self.state.statuses.append(status)
        self.reply(status, body, (headers or {}) | {"Content-Length": str(length or len(body))})


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()
    with running(_WebHandler, state):
        yield state


def test_a_file_of_a_web_server_is_followed_with_conditional_requests(web: Web, cache: DownloadCache):
    place = RemotePlace(f"{web.url}/files/a.onnx?token=secret", cache, 60)
    assert place.name == f"{web.url}/files/a.onnx"
    for _ in range(2):
        assert place.sync().error is None
        assert contents(place) == {"a": b"1"}
    assert web.statuses == [200, 304]
    web.status = 503
    assert place.sync().error is not None
    assert contents(place) == {"a": b"1"}
    web.status, web.content, web.is_cut = None, b"0123456789", True
    assert place.sync().error is not None
    assert contents(place) == {"a": b"1"}
    web.is_cut = False
    assert place.sync().error is None
    assert contents(place) == {"a": b"0123456789"}
    web.content = None
    assert place.sync().error is None
    assert contents(place) == {}


def test_a_web_server_without_versions_is_refused(web: Web, cache: DownloadCache):
    web.validators = False
    place = RemotePlace(f"{web.url}/a.onnx", cache, 60)
    assert place.sync().error is not None
    assert contents(place) == {}


def test_errors_of_a_place_are_of_the_store(s3: S3Server, cache: DownloadCache):
    for url, reason in (("s3://no-such-bucket/x", "not_found"), ("nothing://x/y", "unknown_protocol")):
        error = RemotePlace(url, cache, 60).sync().error
        assert isinstance(error, UserError)
        assert error.reason == reason
    assert RemotePlace("s3://bucket/empty", cache, 60).sync().error is None


def test_a_file_that_the_place_describes_is_taken_from_the_cache(cache: DownloadCache):
    digest = cache.keep(b"content").stem
    place = RemotePlace("nothing://x", cache, 60)
    assert place._receive(None, RemoteFile("a", "1", digest=digest)) == digest  # type: ignore[arg-type]


def test_a_name_that_is_too_long_and_a_wrong_aliases_file_leave_the_other_files_in_service(s3: S3Server, cache: DownloadCache):
    long = "x" * 250
    for name in ("a", long, "z"):
        put(s3, f"{name}.onnx", name[:1].encode())
    put(s3, "aliases", b"a = a@000000000000")
    place = RemotePlace(URL, cache, 60)
    assert place.sync().error is None
    assert contents(place) == {"a": b"a", "z": b"z"}
    assert [(stem, error.reason) for stem, error in place.list().errors.items()] == [(long, "too_long_name")]  # type: ignore[attr-defined]
    put(s3, "aliases", b"#" * (MAX_ALIASES_BYTES + 1))
    put(s3, "b.onnx", b"b")
    assert place.sync().error is None
    gets = s3.counts()["GET"]
    assert place.sync().error is None
    assert s3.counts()["GET"] == gets
    listing = place.list()
    assert set(listing.files) == {"a", "b", "z"}
    assert (listing.aliases, reason_and_message(listing.aliases_error)[0]) == ("a = a@000000000000", "too_large_file")  # type: ignore[arg-type]
    put(s3, "aliases", b"a = a@111111111111")
    place.sync()
    assert (place.list().aliases, place.list().aliases_error) == ("a = a@111111111111", None)


def test_a_cache_without_hard_links_has_one_copy_of_each_file(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", refuse)
    cache = DownloadCache(tmp_path / "cache", max_bytes=2500)

    def stored() -> int:
        return sum(path.stat().st_size for path in cache.directory.rglob("*.onnx"))

    put(s3, "a.onnx", b"a" * 1000)
    put(s3, "b.onnx", b"b" * 1000)
    place = RemotePlace(URL, cache, 60)
    assert place.sync().error is None
    assert set(contents(place)) == {"a", "b"}
    assert stored() == 2000
    put(s3, "c.onnx", b"c" * 1000)
    assert isinstance(place.sync().error, CacheFullError)  # the two files are in use
    assert stored() == 2000
    remove(s3, "a.onnx")
    assert place.sync().error is None
    assert set(contents(place)) == {"b", "c"}
    assert stored() <= 2500
    remove(s3, "b.onnx")
    place.sync()
    assert cache.find(digest_of(b"b" * 1000)) == b"b" * 1000  # kept while there is room


def test_only_downloads_of_ended_processes_are_removed(cache: DownloadCache):
    def look(target: IO[bytes]) -> None:
        target.write(b"half")
        (temporary,) = cache.directory.iterdir()
        cache.remove_abandoned()
        assert temporary.exists()

    cache.receive(look, None, None)
    (cache.directory / f".{'0' * 32}").write_bytes(b"half")
    (cache.directory / f".{'0' * 64}.onnx.{'0' * 32}").write_bytes(b"another writer, without a lock")
    cache.remove_abandoned()
    assert sum(path.name.startswith(".") for path in cache.directory.iterdir()) == 1


def test_a_download_whose_file_another_process_removes_before_the_lock_has_another_file(
    cache: DownloadCache, monkeypatch: pytest.MonkeyPatch
):
    lock, others = fcntl.flock, []

    def flock(file: IO[bytes], operation: int) -> None:
        if not others:  # the new file is not locked yet
            (path,) = cache.directory.iterdir()
            others.append(path.open("rb"))
            lock(others[0], fcntl.LOCK_EX)
            threading.Thread(target=lambda: (path.unlink(), others[0].close())).start()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    digest = cache.receive(lambda target: target.write(b"whole") and None, 5, None)
    assert cache.find(digest) == b"whole"


def test_a_large_file_of_the_cache_is_checked_without_being_read_at_once(cache: DownloadCache, monkeypatch: pytest.MonkeyPatch):
    digest = cache.keep(b"content").stem

    def refuse(path: Path) -> bytes:
        raise AssertionError(f"{path} is read at once")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert cache.verified_digest(digest[:12]) == digest
    cache.path_of(digest).write_bytes(b"damaged")
    assert cache.verified_digest(digest[:12]) is None
    assert not cache.path_of(digest).exists()


def test_a_file_that_cannot_be_linked_leaves_the_later_files_in_service(
    s3: S3Server, cache: DownloadCache, monkeypatch: pytest.MonkeyPatch
):
    link = os.link

    def evicted(source: Path, target: Path) -> None:
        if source.name.startswith(digest_of(b"a")):
            raise FileNotFoundError(errno.ENOENT, "evicted")
        link(source, target)

    monkeypatch.setattr(os, "link", evicted)
    put(s3, "a.onnx", b"a")
    put(s3, "b.onnx", b"b")
    place = RemotePlace(URL, cache, 60)
    assert place.sync().error is not None
    assert contents(place) == {"b": b"b"}


def test_a_view_that_cannot_be_removed_gives_no_room(cache: DownloadCache, monkeypatch: pytest.MonkeyPatch):
    view = View(cache.directory, URL)
    digest = cache.keep(b"a").stem
    view.put("a", ViewFile("1", digest, 0))
    assert not drop_unused_view(cache.directory)  # in use
    view.close()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda directory, ignore_errors: None)
        assert not drop_unused_view(cache.directory)
    assert drop_unused_view(cache.directory)
    assert not drop_unused_view(cache.directory)


def test_a_view_that_is_removed_while_a_server_opens_it_is_made_again(cache: DownloadCache, monkeypatch: pytest.MonkeyPatch):
    View(cache.directory, URL).close()
    flock = fcntl.flock

    def remove_first(lock: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        shutil.rmtree(cache.directory)
        flock(lock, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    view = View(cache.directory, URL)
    assert os.path.samestat(os.fstat(view._lock), (view.path("a").parent / ".lock").stat())
    view.close()

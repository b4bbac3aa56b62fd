"""Versions, times and digests of files by what a file system says, and folders of a file system in memory."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from seedmint.models.errors import UserError
from seedmint.service.places.file_systems import digest_of_info, file_system, modified_of, version_of
from seedmint.service.places.object_store import ObjectStore
from seedmint.service.places.store import MAX_ALIASES_BYTES, RemoteFile, StoreError
from tests.support.errors import raises

KEYS = ["ETag", "etag", "VersionId", "blob_id", "generation", "md5Hash", "content_md5", "LastModified", "last_modified"]


@pytest.mark.parametrize("key", KEYS)
def test_a_version_changes_with_each_entry_and_the_size(key: str):
    versions = [version_of(info) for info in ({key: "1"}, {key: "2"}, {key: "2", "size": 3}, {key: "2", "size": 4})]
    assert None not in versions
    assert len(set(versions)) == 4
    assert version_of({key: "1", "other": 5}) == versions[0]


def test_a_file_system_without_such_entries_has_no_version():
    assert version_of({"size": 3, "ETag": "", "etag": None}) is None


@pytest.mark.parametrize(
    ("info", "seconds"),
    [
        ({"LastModified": datetime(2026, 1, 1, tzinfo=UTC)}, 1767225600.0),
        ({"last_modified": "2026-01-01T00:00:00+00:00"}, 1767225600.0),
        ({"updated": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1767225600.0),
        ({"mtime": 5}, 5.0),
        ({"created": 5.5}, 5.5),
        ({"LastModified": "soon", "mtime": 5}, 5.0),
        ({"LastModified": "soon"}, None),
        ({}, None),
    ],
)
def test_times_have_several_forms(info: dict[str, Any], seconds: float | None):
    assert modified_of(info) == seconds


@pytest.mark.parametrize(
    ("info", "digest"),
    [
        ({"lfs": {"sha256": "0" * 64}}, "0" * 64),
        ({"lfs": {"sha256": "0" * 63}}, None),
        ({"lfs": {"sha256": "A" * 64}}, None),
        ({"lfs": {"sha256": 5}}, None),
        ({"lfs": None}, None),
        ({}, None),
    ],
)
def test_the_digest_is_that_of_a_large_file_of_the_hub(info: dict[str, Any], digest: str | None):
    assert digest_of_info(info) == digest


def test_an_unknown_protocol_is_refused():
    with raises(UserError, "unknown_protocol", "model"):
        file_system("nothing://bucket")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch):
    import fsspec

    def missing(url: str) -> None:
        raise ImportError("no library")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    for url in ("s3://bucket", "other://bucket"):
        with raises(UserError, "missing_package", "model"):
            file_system(url)


@pytest.fixture
def store() -> Any:
    """A folder of a file system in memory."""
    found = ObjectStore("memory://bucket/generators/")
    found.system.store.clear()
    found.system.pseudo_dirs[:] = [""]
    yield found
    found.system.store.clear()


def put(store: ObjectStore, name: str, content: bytes) -> None:
    store.system.pipe_file(f"{store.path}/{name}", content)


def test_the_files_of_a_folder_are_listed(store: ObjectStore):
    for name in ("b.onnx", "a.onnx", ".hidden.onnx", "notes.txt", "deep/c.onnx"):
        put(store, name, name.encode())
    listing = store.list()
    assert [(file.stem, file.size) for file in listing.files] == [("a", 6), ("b", 6)]
    assert len({file.version for file in listing.files}) == 2
    assert all(file.modified is not None and file.modified > 1e9 for file in listing.files)
    assert listing.aliases is None
    target = io.BytesIO()
    store.fetch(RemoteFile("a", "1"), target)
    assert target.getvalue() == b"a.onnx"
    put(store, "aliases", b"1")
    first = store.list().aliases
    assert first is not None
    assert store.read_aliases() == b"1"


def test_aliases_have_a_largest_size(store: ObjectStore):
    put(store, "aliases", bytes(MAX_ALIASES_BYTES))
    assert len(store.read_aliases()) == MAX_ALIASES_BYTES
    put(store, "aliases", bytes(MAX_ALIASES_BYTES + 1))
    with raises(StoreError, "too_large_file"):
        store.read_aliases()


def test_a_missing_bucket_is_an_error(store: ObjectStore):
    with pytest.raises(FileNotFoundError):
        store.list()

"""`models push`, `pull` and `list` with folders and an object store."""

import hashlib
import json
from pathlib import Path
from typing import IO

import fsspec
import pytest

from seedmint.models.errors import UserError
from seedmint.models.installation import install_command
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.places.download_cache import DownloadCache
from seedmint.service.places.file_systems import file_system
from seedmint.service.places.lookup import download, find_file
from seedmint.service.places.object_store import ObjectStore
from seedmint.service.places.remote_place import described
from seedmint.service.places.store import RemoteFile
from seedmint.service.settings import read_settings
from tests.support import generators
from tests.support.commandline import run
from tests.support.s3_storage import S3Server

URL = "s3://bucket/generators"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the generator `one`, and a cache."""
    folder = tmp_path / "models"
    folder.mkdir()
    generators.write(folder, "one", 1)
    monkeypatch.setenv("SEEDMINT_MODELS", str(folder))
    monkeypatch.setenv("SEEDMINT_MODELS_CACHE", str(tmp_path / "cache"))
    return folder


def test_a_generator_is_pushed_listed_and_pulled(s3: S3Server, folder: Path, tmp_path: Path):
    content = (folder / "one.onnx").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    stem = f"one@{digest[:12]}"
    (pushed,) = json.loads(run("models", "push", "one", URL, "--json"))
    assert pushed == {"name": "one", "digest": digest, "target": f"{URL}/{stem}.onnx", "written": True}
    (again,) = json.loads(run("models", "push", str(folder / "one.onnx"), URL, "--json"))
    assert not again["written"]
    (listed,) = json.loads(run("models", "list", URL, "--json"))
    assert (listed["file"], listed["size"], listed["place"]) == (f"{stem}.onnx", len(content), URL)
    target = tmp_path / "target"
    target.mkdir()
    for arguments in ((), ("one",), (stem,)):
        (pulled,) = json.loads(run("models", "pull", URL, *arguments, "--models", str(target), "--json"))
        assert pulled["target"] == str(target / f"{stem}.onnx")
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {f"{stem}.onnx": content}
    (pushed,) = json.loads(run("models", "push", "one", str(folder), "--json"))  # is there as one.onnx
    assert (pushed["target"], pushed["written"]) == (str(folder / "one.onnx"), False)


def test_another_object_of_the_same_name_is_never_replaced(s3: S3Server, folder: Path, tmp_path: Path):
    digest12 = hashlib.sha256((folder / "one.onnx").read_bytes()).hexdigest()[:12]
    key = f"generators/one@{digest12}.onnx"
    s3.client.put_object(Bucket="bucket", Key=key, Body=b"other")
    (tmp_path / f"one@{digest12}.onnx").write_bytes(b"other")
    for place in (URL, str(tmp_path)):
        with pytest.raises(UserError) as error:
            run("models", "push", "one", place)
        assert (error.value.field, error.value.reason) == ("place", "name_exists")
    assert s3.client.get_object(Bucket="bucket", Key=key)["Body"].read() == b"other"


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        (("push", "one", "https://localhost/one.onnx"), "place", "read_only"),
        (("push", "one", "s3://no-such-bucket/x"), "place", None),
        (("push", "one", "nothing://x"), "place", "unknown_protocol"),
        (("push", "none", URL), "model", "not_found"),
        (("pull", URL, "none"), "model", "not_found"),
        (("pull", URL), "place", "not_found"),
        (("pull", "s3://no-such-bucket/x"), "place", "not_found"),
        (("list", "s3://no-such-bucket/x"), "models", "not_found"),
    ],
)
def test_errors(s3: S3Server, folder: Path, arguments: tuple[str, ...], field: str, reason: str | None):
    with pytest.raises(UserError) as error:
        run("models", *arguments)
    assert error.value.field == field
    assert reason in (None, error.value.reason)


def test_names_are_looked_up_in_all_places(s3: S3Server, folder: Path):
    other = generators.content("two", 2)
    s3.client.put_object(Bucket="bucket", Key="generators/two.onnx", Body=other)
    settings = read_settings({"SEEDMINT_MODELS": f"{folder},{URL}", "SEEDMINT_MODELS_CACHE": str(folder / "cache")})
    assert find_file("one", settings) == folder / "one.onnx"
    digest = hashlib.sha256(other).hexdigest()
    for reference in ("two", f"two@{digest[:12]}", f"two@{digest}"):
        assert find_file(reference, settings).read_bytes() == other
    gets = s3.counts()["GET"]
    assert find_file("two", settings).read_bytes() == other
    assert s3.counts()["GET"] == gets  # from the cache
    for reference, reason in (("three", "not_found"), (f"two@{'0' * 12}", "unknown_version")):
        with pytest.raises(UserError) as error:
            find_file(reference, settings)
        assert error.value.reason == reason


def test_commands_choose_among_all_places_as_the_server_does(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    other, content = generators.content("one", 1), generators.content("one", 2)
    digest = hashlib.sha256(content).hexdigest()
    pinned = second / f"one@{digest[:12]}.onnx"
    (first / "one.onnx").write_bytes(other)
    pinned.write_bytes(content)
    settings = read_settings({"SEEDMINT_MODELS": f"{first},{second}"})
    assert find_file(f"one@{digest[:12]}", settings) == pinned
    assert find_file("one", settings) == first / "one.onnx"
    (second / "aliases").write_text(f"one = one@{digest}\n")
    assert find_file("one", settings) == pinned
    (second / "aliases").write_text("one = two\n")
    with pytest.raises(UserError) as error:
        find_file("one", settings)
    assert (error.value.field, error.value.reason) == ("models", "invalid_line")
    (second / "aliases").unlink()
    (first / "one.onnx").rename(first / f"one@{hashlib.sha256(other).hexdigest()[:12]}.onnx")
    (second / "one.onnx").write_bytes(content)
    assert find_file("one", settings) == second / "one.onnx"


def test_an_aliases_file_of_a_store_that_cannot_be_read_is_an_error_of_the_place(
    s3: S3Server, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(store: ObjectStore) -> bytes:
        raise RuntimeError("an error of a library")

    s3.client.put_object(Bucket="bucket", Key="generators/two.onnx", Body=b"2")
    s3.client.put_object(Bucket="bucket", Key="generators/aliases", Body=b"")
    monkeypatch.setattr(ObjectStore, "read_aliases", fail)
    settings = read_settings({"SEEDMINT_MODELS": URL, "SEEDMINT_MODELS_CACHE": str(folder / "cache")})
    with pytest.raises(UserError) as error:
        find_file("two", settings)
    assert error.value.field == "models"


@pytest.mark.parametrize("host", ["example.org", "[::1"])
def test_credentials_of_urls_are_refused_and_not_shown(tmp_path: Path, host: str):
    with pytest.raises(UserError) as error:
        read_settings({"SEEDMINT_MODELS": f"https://user:secret@{host}/one.onnx"})
    assert error.value.field == "models"
    assert "secret" not in str(error.value)
    cache = DownloadCache(tmp_path)
    cache.record("https://example.org/one.onnx?token=secret/one", "1", "0" * 64)
    (entry,) = tmp_path.iterdir()
    assert "secret" not in entry.read_text()


@pytest.mark.parametrize(("protocol", "extra"), [("gs", "gs"), ("az", "az"), ("s3", "s3"), ("hf", "hub")])
def test_a_missing_library_is_named_with_its_extra(protocol: str, extra: str, monkeypatch: pytest.MonkeyPatch):
    def fail(url: str) -> None:
        raise ImportError("no module")

    monkeypatch.setattr(fsspec.core, "url_to_fs", fail)
    for use in (file_system, open_output) if protocol != "hf" else (file_system,):
        with pytest.raises(UserError) as error:
            use(f"{protocol}://bucket/x")
        assert str(error.value).endswith(install_command(extra))


def test_the_answer_of_a_store_is_shown_in_short():
    assert str(described(RuntimeError("no container\nRequestId: 1\n<Error>"))) == "no container"
    error = described(FileNotFoundError("b/none/o"))
    assert error.reason == "not_found"
    assert str(error) != "b/none/o"


def test_a_download_must_have_the_digest_that_the_store_says(tmp_path: Path):
    class Changed:
        def fetch(self, file: RemoteFile, target: IO[bytes]) -> None:
            target.write(b"changed")

    for file in (RemoteFile("one", "1", digest="0" * 64), RemoteFile(f"one@{'0' * 20}", "1")):
        with pytest.raises(UserError) as error:
            download(Changed(), "s3://bucket", file, DownloadCache(tmp_path))  # type: ignore[arg-type]
        assert error.value.reason == "wrong_digest"

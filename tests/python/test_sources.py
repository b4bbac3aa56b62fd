"""`seedmint.load` reads generators from object stores and from the Hub, and keeps them in a bounded cache."""

import hashlib
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import seedmint
from seedmint.models.errors import UserError
from seedmint.service.places.download_cache import DownloadCache
from seedmint.service.places.file_systems import digest_of_info
from seedmint.sources import resolve_source
from tests.support import generators
from tests.support.errors import raises
from tests.support.hub_server import REPOSITORY, Hub, hub
from tests.support.s3_storage import S3Server


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "seedmint" / "generators"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def gets(server: S3Server) -> int:
    return server.counts().get("GET", 0)


def test_a_generator_of_an_object_store_is_downloaded_once(s3: S3Server, models: Path, cache: Path):
    content = (models / "rgb.onnx").read_bytes()
    s3.client.put_object(Bucket="bucket", Key="rgb.onnx", Body=content)
    url = "s3://bucket/rgb.onnx"
    first = seedmint.load(url, threads=1)
    assert (first.name, first.digest) == ("rgb", digest_of(content))
    assert {path.name for path in cache.glob("*.onnx")} == {f"{first.digest}.onnx"}
    before = gets(s3)
    assert seedmint.load(url, threads=1).digest == first.digest
    assert gets(s3) == before  # the ETag has not changed
    s3.client.put_object(Bucket="bucket", Key="rgb.onnx", Body=(models / "grey.onnx").read_bytes())
    assert seedmint.load(url, threads=1).name == "grey"
    for version in (first.digest, first.digest[:12]):  # the cache still has the first version
        assert seedmint.load(f"{url}@{version}", threads=1).name == "rgb"
    assert pickle.loads(pickle.dumps(first)).digest == first.digest
    with pytest.raises(UserError) as error:
        seedmint.load(f"{url}@{'0' * 12}")
    assert (error.value.field, error.value.reason) == ("digest", "wrong_digest")


def test_errors_of_an_object_store(s3: S3Server, cache: Path):
    for url in ("s3://bucket/none.onnx", "s3://no-such-bucket/none.onnx"):
        with pytest.raises(UserError) as error:
            seedmint.load(url)
        assert (error.value.field, error.value.reason) == ("model", "not_found")
    s3.client.put_object(Bucket="bucket", Key="text.onnx", Body=b"no generator")
    with pytest.raises(UserError) as error:
        seedmint.load("s3://bucket/text.onnx")
    assert error.value.reason == "not_onnx"


@pytest.fixture
def local_hub(models: Path, monkeypatch: pytest.MonkeyPatch):
    import huggingface_hub.constants

    with hub() as state:
        state.files["faces/rgb.onnx"] = (models / "rgb.onnx").read_bytes()
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", state.url)
        template = f"{state.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        huggingface_hub.HfFileSystem.clear_instance_cache()
        yield state
        huggingface_hub.HfFileSystem.clear_instance_cache()


def test_a_generator_of_the_hub_is_downloaded_once(local_hub: Hub, models: Path, cache: Path):
    url = f"hf://{REPOSITORY}/faces/rgb.onnx"
    first = seedmint.load(url, threads=1)
    assert first.digest == digest_of(local_hub.files["faces/rgb.onnx"])
    downloads = local_hub.requests["resolve"]
    assert downloads >= 1
    assert seedmint.load(url, threads=1).digest == first.digest
    assert local_hub.requests["resolve"] == downloads
    requests = dict(local_hub.requests)
    assert seedmint.load(f"{url}@{first.digest[:12]}", threads=1).name == "rgb"
    assert dict(local_hub.requests) == requests  # a pinned generator in the cache needs no network
    local_hub.files["faces/rgb.onnx"] = (models / "grey.onnx").read_bytes()
    assert seedmint.load(url, threads=1).name == "grey"


def test_errors_of_the_hub(local_hub: Hub, cache: Path):
    for url in (f"hf://{REPOSITORY}/none.onnx", "hf://user/nothing/rgb.onnx"):
        with pytest.raises(UserError) as error:
            seedmint.load(url)
        assert (error.value.field, error.value.reason) == ("model", "not_found")


@pytest.mark.parametrize(
    ("url", "library", "extra"), [("s3://b/a.onnx", "s3fs", "s3"), ("hf://u/r/a.onnx", "huggingface_hub", "hub")]
)
def test_a_missing_library_is_told_with_its_extra(url: str, library: str, extra: str):
    code = (
        f"import sys; sys.modules[{library!r}] = None\nimport seedmint\n"
        f"try: seedmint.load({url!r})\n"
        "except seedmint.UserError as error:\n"
        f"    assert (error.reason, '[{extra}]' in str(error)) == ('missing_package', True), error\n"
        "else: raise AssertionError"
    )
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_cache_removes_the_files_that_were_not_used_for_the_longest_time(tmp_path: Path):
    cache = DownloadCache(tmp_path, max_bytes=25)
    contents = {name: name.encode() * 10 for name in "abc"}
    for age, (name, content) in enumerate(contents.items()):
        cache.store(name, "1", content)
        os.utime(tmp_path / f"{digest_of(content)}.onnx", (age + 1, age + 1))
        if name == "b":
            assert cache.lookup("a", "1") == contents["a"]  # now the most recent
            os.utime(tmp_path / f"{digest_of(contents['b'])}.onnx", (1, 1))
    assert cache.lookup("b", "1") is None
    assert cache.lookup("a", "1") == contents["a"]
    assert cache.lookup("c", "1") == contents["c"]
    assert cache.lookup("c", "2") is None
    cache.store("large", "1", b"x" * 26)
    assert cache.lookup("large", "1") is None


def test_a_damaged_file_of_the_cache_is_not_used(tmp_path: Path):
    cache = DownloadCache(tmp_path)
    cache.store("a", "1", b"content")
    path = tmp_path / f"{digest_of(b'content')}.onnx"
    path.write_bytes(b"damaged")
    assert cache.lookup("a", "1") is None
    assert not path.exists()
    (entry,) = tmp_path.glob("*.json")
    entry.write_text("[")
    assert cache.lookup("a", "1") is None


def test_a_cache_that_cannot_be_written_is_a_warning(
    s3: S3Server, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    s3.client.put_object(Bucket="bucket", Key="rgb.onnx", Body=(models / "rgb.onnx").read_bytes())
    with pytest.warns(UserWarning, match=re.escape(str(tmp_path / "file"))):
        assert seedmint.load("s3://bucket/rgb.onnx", threads=1).name == "rgb"


@pytest.mark.parametrize("digest", ["../victim", "?", "*", "abc", "A" * 64])
def test_only_a_digest_finds_a_file_in_the_cache(tmp_path: Path, digest: str):
    """Digests come from servers."""
    victim = tmp_path / "victim.onnx"
    victim.write_bytes(b"x")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{'0' * 64}.onnx").write_bytes(b"y")
    assert DownloadCache(tmp_path / "cache").find(digest) is None
    assert victim.exists()
    assert digest_of_info({"lfs": {"sha256": digest}}) is None


def test_a_folder_with_a_comma_is_one_place(tmp_path: Path):
    folder = tmp_path / "x, y"
    folder.mkdir()
    path = generators.write(folder, "grey")
    assert resolve_source("grey", folder) == (str(path), None)
    with pytest.raises(UserError) as error:
        resolve_source("grey", f"{tmp_path},https://example.org/folder")
    assert error.value.field == "models"


@pytest.mark.parametrize("text", ["a" * 5000, "a\0b", "a\ud800", f"{'a' * 250}@{'0' * 12}"])
def test_a_name_or_place_that_no_file_can_have_is_not_found(text: str, models: Path):
    calls = [
        lambda: seedmint.load(text, models=models),
        lambda: seedmint.load(f"folder/{text}"),
        lambda: seedmint.load(f"{text}.onnx"),
        lambda: seedmint.load(Path(text)),
        lambda: seedmint.load("rgb", models=text),
        lambda: seedmint.load(f"rgb@{'0' * 12}", models=Path(text)),
        lambda: seedmint.Generator(text),
    ]
    for call in calls:
        with raises(UserError, "not_found", "model"):
            call()


def test_a_place_that_no_folder_can_be_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEEDMINT_MODELS", f"s3://bucket,{'a' * 5000}")
    with raises(UserError, None, "models"):
        seedmint.load("rgb")

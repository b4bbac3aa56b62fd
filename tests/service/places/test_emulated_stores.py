"""Generators in Google Cloud Storage (gcsfs) and in Azure Blob Storage (adlfs): commands, and a server that follows changes."""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.test_metrics import value
from tests.support import generators
from tests.support.servers import serving, wait_until
from tests.support.store_emulators import Store, missing, store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["gs", "az"])
def emulator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    reason = missing(request.param)
    if reason is not None:
        pytest.skip(reason)
    with store(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


def version(folder: Path, name: str, weights: int) -> tuple[Path, str]:
    """Write a generator, and return its path and digest."""
    path = generators.put(folder / f"{name}-{weights}.onnx", generators.content(name, weights))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def printed(emulator: Store, *arguments: object) -> list[dict[str, Any]]:
    done = emulator.seedmint(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_generators_are_pushed_listed_and_pulled(emulator: Store, tmp_path: Path):
    path, digest = version(tmp_path, "one", 1)
    place, stem = f"{emulator.bucket}/pushed", f"one@{digest[:12]}"
    for is_new in (True, False):
        (pushed,) = printed(emulator, "models", "push", path, place)
        assert pushed == {"name": "one", "digest": digest, "target": f"{place}/{stem}.onnx", "written": is_new}
    (listed,) = printed(emulator, "models", "list", place)
    assert (listed["file"], listed["size"]) == (f"{stem}.onnx", path.stat().st_size)
    target = tmp_path / "target"
    target.mkdir()
    (pulled,) = printed(emulator, "models", "pull", place, "one", "--models", target)
    assert Path(pulled["target"]).read_bytes() == path.read_bytes()
    emulator.change(("put", f"{place}/{stem}.onnx", __file__))
    for arguments in (
        ("push", path, place),
        ("push", path, f"{emulator.bucket}-none/x"),
        ("list", f"{emulator.bucket}-none/x"),
    ):
        done = emulator.seedmint("models", *arguments)
        assert done.returncode != 0
        assert len(done.stderr.splitlines()) == 1
        assert "\\n" not in done.stderr
    assert "one@" in emulator.seedmint("models", "push", path, place).stderr


def test_a_batch_job_is_written_and_verified(emulator: Store, tmp_path: Path):
    generators.write(tmp_path, "one")
    out = f"{emulator.bucket}/job"
    arguments = ("--seeds", "0-39", "--shard-size", 20, "--format", "npz", "--models", tmp_path, "--out", out)
    for done in (
        emulator.seedmint("batch", "run", "one", *arguments),
        emulator.seedmint("batch", "verify", out, "--models", tmp_path),
    ):
        assert done.returncode == 0, done.stderr


def test_a_server_follows_a_store(emulator: Store, tmp_path: Path):
    place, models = f"{emulator.bucket}/served", tmp_path / "cache"
    old, old_digest = version(tmp_path, "one", 1)
    new, new_digest = version(tmp_path, "one", 2)
    other, _ = version(tmp_path, "two", 3)
    changed, changed_digest = version(tmp_path, "two", 4)
    emulator.change(("put", f"{place}/one@{old_digest[:12]}.onnx", old), ("put", f"{place}/two.onnx", other))
    settings: dict[str, Any] = {"models_cache": models, "models_poll_seconds": 0.3}
    with serving(place, variables=emulator.environment, **settings) as server:  # type: ignore[arg-type]
        wait_until(lambda: server.digest("one") == old_digest)
        image = f"{server.pinned('one')}/1.npy"
        content = server.client.get(image).content
        second = int(time.time())
        wait_until(lambda: int(time.time()) > second)  # Azure's times are whole seconds
        emulator.change(
            ("put", f"{place}/one@{new_digest[:12]}.onnx", new),
            ("put", f"{place}/two.onnx", changed),
            ("put", f"{place}/three@{new_digest[:12]}.onnx", old),  # not the file that its name says
        )
        wait_until(lambda: server.digest("one") == new_digest)
        wait_until(lambda: server.digest("two") == changed_digest)
        wait_until(lambda: value(server, "seedmint_model_load_failed", model=f"three@{new_digest[:12]}") == 1)
        assert server.client.get(image).content == content
        (tmp_path / "aliases").write_text(f"one = one@{old_digest[:12]}\n")
        emulator.change(("put", f"{place}/aliases", tmp_path / "aliases"), ("remove", f"{place}/two.onnx"))
        wait_until(lambda: server.digest("one") == old_digest)
        wait_until(lambda: server.client.get("/v1/models/two").status_code == 404)
        assert value(server, "seedmint_models_place_up", place=place) == 1

"""The models directory while it is being served: add, replace, remove, and files that must be refused."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from seedmint.models.card import ImageOutput
from seedmint.service.batching.model_repository import _LINGER_SECONDS
from seedmint.service.runtime.generator import open_generator
from tests.support import generators
from tests.support.servers import Server, serving, wait_until


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("library")
    generators.write(directory, "first", 1)
    with serving(directory) as running:
        yield running


def names(server: Server) -> list[str]:
    return [model["name"] for model in server.client.get("/v1/models").json()["models"]]


def test_a_new_file_is_served_and_a_removed_one_is_not(library: Server):
    path = generators.write(library.models, "second", 2)
    wait_until(lambda: "second" in names(library))
    assert library.client.get(f"{library.pinned('second')}/1.png").status_code == 200
    assert library.wait_for_log("second@")
    path.unlink()
    wait_until(lambda: "second" not in names(library))
    answer = library.client.get("/v1/models/second/images/1.png")
    assert (answer.status_code, answer.json()["field"]) == (404, "model")
    assert library.wait_for_log("second: removed")


def test_a_replaced_file_takes_effect_without_a_failed_request(library: Server):
    generators.write(library.models, "moving", 0)
    wait_until(lambda: "moving" in names(library))
    answers: list[tuple[int, bytes]] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=library.url, follow_redirects=True) as client:
            while not stop.is_set():
                answer = client.post("/v1/sample", json={"model": "moving", "seeds": "0-200", "format": "npy"})
                answers.append((answer.status_code, answer.content[128:]))

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    expected = set()
    for version in range(4):
        path = generators.write(library.models, "moving", version)
        generator = open_generator(path)
        expected.add(generator.generate(np.arange(201)).tobytes())
        wait_until(lambda generator=generator: library.digest("moving") == generator.digest)
    stop.set()
    for thread in asking:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert {content for _, content in answers} <= expected  # never half of one version and half of the next
    assert len({content for _, content in answers}) > 1


def test_a_version_that_is_kept_beside_the_new_one_keeps_its_addresses(library: Server):
    path = generators.write(library.models, "grown", 1)
    wait_until(lambda: "grown" in names(library))
    old = library.pinned("grown")
    images = [library.client.get(f"{old}/7.{form}").content for form in ("npy", "png?scale=2")]
    digest12 = library.digest("grown")[:12]
    generators.put(library.models / f"grown@{digest12}.onnx", path.read_bytes())
    generators.write(library.models, "grown", 2)
    wait_until(lambda: library.pinned("grown") != old)
    time.sleep(_LINGER_SECONDS + 1)  # until what was replaced would be forgotten
    assert [library.client.get(f"{old}/7.{form}").content for form in ("npy", "png?scale=2")] == images
    assert library.client.get(f"{library.pinned('grown')}/7.npy").content != images[0]
    assert library.client.get(f"/v1/models/grown@{digest12}").json()["digest"].startswith(digest12)
    assert names(library).count("grown") == 1
    generators.put(library.models / "grown@0123456789ab.onnx", path.read_bytes())
    assert library.wait_for_log("grown@0123456789ab.onnx: load failed")


def test_a_bad_file_is_refused_once_while_the_old_one_serves_on(library: Server):
    path = generators.write(library.models, "steady", 1)
    wait_until(lambda: "steady" in names(library))
    digest = library.digest("steady")
    good = library.client.get(f"{library.pinned('steady')}/1.png").content
    generators.put(path, b"not a generator")
    line = library.wait_for_log("steady.onnx: load failed")
    assert "load failed (not_onnx)" in line
    assert library.client.get(f"{library.pinned('steady')}/1.png").content == good
    refused = 'seedmint_model_load_failed{model="steady"} 1.0'
    assert refused in library.client.get("/metrics").text
    # what is refused is told once, not at each look
    generators.write(library.models, "later", 1)
    wait_until(lambda: "later" in names(library))
    assert sum("steady.onnx: load failed" in line for line in library.log) == 1
    generators.write(library.models, "steady", 2)
    wait_until(lambda: library.digest("steady") != digest)
    assert refused not in library.client.get("/metrics").text


def test_a_tag_stays_with_the_same_bytes_and_goes_with_others(library: Server):
    """Of all kinds of files: those of a plain address, and those that the routes answer."""
    files = ("images/7.png", "images/7.webp?scale=2", "grid.png?seeds=0-3", "walk.gif?from=1&to=2&frames=2")

    def tags() -> list[str]:
        base = library.pinned("tagged").removesuffix("/images")
        return [library.client.head(f"{base}/{file}").headers["etag"] for file in files]

    path = generators.write(library.models, "tagged", 1)
    wait_until(lambda: "tagged" in names(library))
    before, inode = tags(), path.stat().st_ino
    assert len(set(before)) == len(files)
    generators.write(library.models, "tagged", 1)
    assert path.stat().st_ino != inode
    generators.write(library.models, "after", 1)  # what came later has been seen
    wait_until(lambda: "after" in names(library))
    assert tags() == before
    old = library.client.get(f"{library.pinned('tagged')}/7.png")
    generators.write(library.models, "tagged", 2)
    wait_until(lambda: tags() != before)
    assert not set(tags()) & set(before)
    new = library.client.get(f"{library.pinned('tagged')}/7.png", headers={"If-None-Match": old.headers["etag"]})
    assert (new.status_code, new.content != old.content) == (200, True)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_the_reference_follows_what_is_served(library: Server, path: str):
    """By its tag, too: another while there is one more, and the same again when that has gone."""
    known = library.client.get(path)
    assert "newcomer" not in known.text

    def again() -> httpx.Response:
        return library.client.get(path, headers={"If-None-Match": known.headers["etag"]})

    kept = again()
    assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", known.headers["etag"])
    assert kept.headers["cache-control"] == "no-cache"
    new = generators.write(library.models, "newcomer", 1)
    wait_until(lambda: "newcomer" in names(library))
    changed = again()
    assert (changed.status_code, "newcomer" in changed.text) == (200, True)
    assert changed.headers["etag"] != known.headers["etag"]
    new.unlink()
    wait_until(lambda: "newcomer" not in names(library))
    assert again().status_code == 304
    assert library.client.get(path).content == known.content


@pytest.mark.fault("files that are no generators")
def test_files_that_break_the_contract_are_refused_by_name(library: Server, tmp_path: Path):
    whole = generators.content("cut", 1)
    generators.put(library.models / "cut.onnx", whole[: len(whole) // 2])
    generators.put(library.models / "other.onnx", generators.content("another", 1))
    (library.models / "link.onnx").symlink_to(generators.write(tmp_path, "link", 1))
    (library.models / "folder.onnx").mkdir()
    os.mkfifo(library.models / "pipe.onnx")
    (library.models / "dangling.onnx").symlink_to(library.models / "nowhere")
    described = generators.card("forged", output=ImageOutput(height=9, width=8, channels=1))
    forged = generators.model(generators.card("forged"), 1)
    forged.metadata_props[0].value = described.to_json()
    generators.put(library.models / "forged.onnx", forged.SerializeToString())
    for name, reason in {
        "cut": "not_onnx",
        "other": "wrong_name",
        "link": "outside_directory",
        "folder": "not_a_file",
        "pipe": "not_a_file",
        "forged": "wrong_signature",
    }.items():
        assert library.wait_for_log(f"{name}.onnx: load failed ({reason})")
    assert not {"cut", "other", "another", "link", "folder", "forged", "pipe"} & set(names(library))
    assert not [line for line in library.log if "Traceback" in line]


def test_a_link_inside_the_directory_is_followed(library: Server):
    """As Kubernetes mounts files: a link to a file in a hidden directory beside it."""
    hidden = library.models / ".data"
    hidden.mkdir()
    generators.write(hidden, "linked", 1)
    (library.models / "linked.onnx").symlink_to(Path(".data") / "linked.onnx")
    wait_until(lambda: "linked" in names(library))

"""The models directory of a running server: added, replaced, removed and refused files."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from seedmint.models.card import ImageOutput
from seedmint.service.batching.retired_versions import LINGER_SECONDS
from seedmint.service.runtime.generator import open_generator
from tests.support import generators
from tests.support.servers import Server, serving, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("library")
    generators.write(directory, "first", 1)
    with serving(directory) as running:
        yield running


def names(server: Server) -> list[str]:
    return [model["name"] for model in server.client.get("/v1/models").json()["models"]]


def test_added_file_is_served_and_removed_file_is_not(server: Server):
    path = generators.write(server.models, "second", 2)
    wait_until(lambda: "second" in names(server))
    assert server.client.get(f"{server.pinned('second')}/1.png").status_code == 200
    assert server.wait_for_log("second@")
    lines = len(server.log)
    path.unlink()
    wait_until(lambda: "second" not in names(server))
    answer = server.client.get("/v1/models/second/images/1.png")
    assert (answer.status_code, answer.json()["field"]) == (404, "model")
    assert server.wait_for_log("[INFO] second", start=lines)


def test_replaced_file_takes_effect_without_a_failed_request(server: Server):
    generators.write(server.models, "moving", 0)
    wait_until(lambda: "moving" in names(server))
    answers: list[tuple[int, bytes]] = []
    stop = threading.Event()

    def send_requests() -> None:
        with httpx.Client(base_url=server.url, follow_redirects=True) as client:
            while not stop.is_set():
                answer = client.post("/v1/sample", json={"model": "moving", "seeds": "0-200", "format": "npy"})
                answers.append((answer.status_code, answer.content[128:]))

    threads = [threading.Thread(target=send_requests) for _ in range(2)]
    for thread in threads:
        thread.start()
    expected = set()
    for version in range(4):
        path = generators.write(server.models, "moving", version)
        generator = open_generator(path)
        expected.add(generator.generate(np.arange(201)).tobytes())
        wait_until(lambda generator=generator: server.digest("moving") == generator.digest)
    stop.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert {content for _, content in answers} <= expected  # each response has images of one version only
    assert len({content for _, content in answers}) > 1


def test_version_kept_beside_the_new_version_keeps_its_urls(server: Server):
    path = generators.write(server.models, "grown", 1)
    wait_until(lambda: "grown" in names(server))
    old = server.pinned("grown")
    images = [server.client.get(f"{old}/7.{form}").content for form in ("npy", "png?scale=2")]
    digest12 = server.digest("grown")[:12]
    generators.put(server.models / f"grown@{digest12}.onnx", path.read_bytes())
    generators.write(server.models, "grown", 2)
    wait_until(lambda: server.pinned("grown") != old)
    time.sleep(LINGER_SECONDS + 1)  # until a replaced version is no longer available
    assert [server.client.get(f"{old}/7.{form}").content for form in ("npy", "png?scale=2")] == images
    assert server.client.get(f"{server.pinned('grown')}/7.npy").content != images[0]
    assert server.client.get(f"/v1/models/grown@{digest12}").json()["digest"].startswith(digest12)
    versions = [server.client.get("/v1/models/grown").json()["digest"][:12], digest12]
    for page in ("grown", f"grown@{digest12}"):
        assert server.client.get(f"/v1/models/{page}").json()["versions"] == versions
    assert names(server).count("grown") == 1
    generators.put(server.models / "grown@0123456789ab.onnx", path.read_bytes())
    assert server.wait_for_log("[ERROR]", "grown@0123456789ab.onnx")


def test_refused_file_is_logged_once_and_the_previous_version_stays(server: Server):
    path = generators.write(server.models, "steady", 1)
    wait_until(lambda: "steady" in names(server))
    digest = server.digest("steady")
    good = server.client.get(f"{server.pinned('steady')}/1.png").content
    generators.put(path, b"not a generator")
    line = server.wait_for_log("[ERROR]", "steady.onnx")
    assert "(not_onnx)" in line
    assert server.client.get(f"{server.pinned('steady')}/1.png").content == good
    refused = 'seedmint_model_load_failed{model="steady"} 1.0'
    wait_until(lambda: refused in server.client.get("/metrics").text)
    # The log has one line for each refused version, not one for each scan.
    generators.write(server.models, "later", 1)
    wait_until(lambda: "later" in names(server))
    assert sum("[ERROR]" in line and "steady.onnx" in line for line in server.log) == 1
    generators.write(server.models, "steady", 2)
    wait_until(lambda: server.digest("steady") != digest)
    wait_until(lambda: refused not in server.client.get("/metrics").text)


def test_etag_changes_exactly_when_the_bytes_of_the_file_change(server: Server):
    """For all kinds of resources, on the fast path and on the router."""
    files = ("images/7.png", "images/7.webp?scale=2", "grid.png?seeds=0-3", "walk.gif?frames=2&from=1&to=2")

    def tags() -> list[str]:
        base = server.pinned("tagged").removesuffix("/images")
        return [server.client.head(f"{base}/{file}").headers["etag"] for file in files]

    path = generators.write(server.models, "tagged", 1)
    wait_until(lambda: "tagged" in names(server))
    before, inode = tags(), path.stat().st_ino
    assert len(set(before)) == len(files)
    generators.write(server.models, "tagged", 1)
    assert path.stat().st_ino != inode
    generators.write(server.models, "after", 1)  # when this file is served, a scan has seen the others too
    wait_until(lambda: "after" in names(server))
    assert tags() == before
    old = server.client.get(f"{server.pinned('tagged')}/7.png")
    generators.write(server.models, "tagged", 2)
    wait_until(lambda: tags() != before)
    assert not set(tags()) & set(before)
    new = server.client.get(f"{server.pinned('tagged')}/7.png", headers={"If-None-Match": old.headers["etag"]})
    assert (new.status_code, new.content != old.content) == (200, True)


def test_the_openapi_document_follows_the_generators_in_service(server: Server):
    """The ETag changes when a generator is added, and changes back when the generator is removed."""
    path = "/openapi.json"
    known = server.client.get(path)
    assert "newcomer" not in known.text

    def revalidate() -> httpx.Response:
        return server.client.get(path, headers={"If-None-Match": known.headers["etag"]})

    kept = revalidate()
    assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", known.headers["etag"])
    assert kept.headers["cache-control"] == "no-cache"
    new = generators.write(server.models, "newcomer", 1)
    wait_until(lambda: "newcomer" in names(server))
    changed = revalidate()
    assert (changed.status_code, "newcomer" in changed.text) == (200, True)
    assert changed.headers["etag"] != known.headers["etag"]
    new.unlink()
    wait_until(lambda: "newcomer" not in names(server))
    assert revalidate().status_code == 304
    assert server.client.get(path).content == known.content


def test_a_generator_with_other_outputs_than_its_reference_is_approximate(server: Server):
    path = generators.put(server.models / "foreign.onnx", generators.of_another_machine(generators.content("foreign", 7)))
    assert server.wait_for_log("foreign@")
    page = server.client.get("/v1/models/foreign").json()
    reference = page["card"]["reference"]
    assert page["determinism"] == "approximate"
    assert page["check"] == page["check"] | {"seeds": 64, "expected": reference["sha256"], "difference": 3}
    assert page["check"]["is_batch_independent"]
    assert page["check"]["outputs"] != reference["sha256"]
    image = server.client.get(f"{page['url']}/images/5.npy")
    tag = image.headers["etag"]
    assert tag.startswith('W/"')
    assert server.client.get(f"{page['url']}/images/5.npy", headers={"If-None-Match": tag}).status_code == 304
    metrics = server.client.get("/metrics").text
    assert f'seedmint_generator_reference_difference{{digest="{page["digest"]}",model="foreign"}} 3.0' in metrics
    path.unlink()
    wait_until(lambda: "foreign" not in names(server))


@pytest.mark.fault("files that are no generators")
def test_files_that_violate_the_contract_are_refused(server: Server, tmp_path: Path):
    whole = generators.content("cut", 1)
    generators.put(server.models / "cut.onnx", whole[: len(whole) // 2])
    generators.put(server.models / "other.onnx", generators.content("another", 1))
    (server.models / "link.onnx").symlink_to(generators.write(tmp_path, "link", 1))
    (server.models / "folder.onnx").mkdir()
    os.mkfifo(server.models / "pipe.onnx")
    (server.models / "dangling.onnx").symlink_to(server.models / "nowhere")
    described = generators.card("forged", output=ImageOutput(height=9, width=8, channels=1))
    forged = generators.model(generators.card("forged"), 1)
    forged.metadata_props[0].value = described.to_json()
    generators.put(server.models / "forged.onnx", forged.SerializeToString())
    for name, reason in {
        "cut": "not_onnx",
        "other": "wrong_name",
        "link": "outside_directory",
        "folder": "not_a_file",
        "pipe": "not_a_file",
        "forged": "wrong_signature",
    }.items():
        assert server.wait_for_log(f"{name}.onnx", f"({reason})")
    assert not {"cut", "other", "another", "link", "folder", "forged", "pipe"} & set(names(server))
    assert not [line for line in server.log if "Traceback" in line]


def test_link_inside_the_directory_is_followed(server: Server):
    """Kubernetes mounts files so: a link to a file in a hidden directory beside it."""
    hidden = server.models / ".data"
    hidden.mkdir()
    generators.write(hidden, "linked", 1)
    (server.models / "linked.onnx").symlink_to(Path(".data") / "linked.onnx")
    wait_until(lambda: "linked" in names(server))

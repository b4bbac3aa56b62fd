"""`seedmint package`: generators as an OCI image."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from seedmint.models.errors import UserError
from seedmint.service.packaging.generator_image import build_image, image_digest, packed_file, split_tag
from seedmint.service.packaging.oci_layout import LAYER, ArchiveError, OciArchive
from tests.support import generators
from tests.support.servers import serving

_TAG = "registry.test:5000/team/faces:2026.11"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    generators.write(directory, "faces", 1)
    generators.write(directory, "digits", 2)
    return directory


def images(archive: OciArchive) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the manifest and the configuration of each platform."""
    (index,) = archive.manifests
    manifests = [archive.load(one) for one in archive.load(index)["manifests"]]
    return [(manifest, archive.load(manifest["config"])) for manifest in manifests]


def unpack(archive: OciArchive, manifest: dict[str, Any], directory: Path) -> None:
    """Extract the layers as a container engine does."""
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(archive.blobs[layer["digest"]])) as tar:
            tar.extractall(directory, filter="tar")


def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seedmint", "package", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"} | variables)


def test_the_image_has_one_layer_for_each_platform_with_digests_and_cards(models: Path, tmp_path: Path):
    done = run("faces", "digits", "--models", models, "--tag", _TAG, "--out", tmp_path / "image.tar")
    assert done.returncode == 0, done.stderr
    archive = OciArchive.read(tmp_path / "image.tar")
    assert done.stdout == f"{_TAG}@{image_digest(archive)}\n"
    found = images(archive)
    assert [config["architecture"] for _, config in found] == ["amd64", "arm64"]
    for manifest, config in found:
        (layer,) = manifest["layers"]
        assert layer["mediaType"] == LAYER
        assert config["rootfs"]["diff_ids"] == [layer["digest"]]
        labels = config["config"]["Labels"]
        digest = hashlib.sha256((models / "faces.onnx").read_bytes()).hexdigest()
        assert json.loads(labels["seedmint.generators"])["faces.onnx"] == f"sha256:{digest}"
        assert json.loads(labels["seedmint.card.faces"])["title"] == "Test generator faces"
        assert manifest["annotations"] == labels


def test_a_service_serves_the_files_of_the_image(models: Path, tmp_path: Path):
    archive = build_image([packed_file(models / "faces.onnx")], _TAG)
    unpack(archive, images(archive)[0][0], tmp_path)
    for directory in (tmp_path, tmp_path / "models"):  # an image volume, and an init container
        assert (directory / "faces.onnx").read_bytes() == (models / "faces.onnx").read_bytes()
    with serving(tmp_path, ready_when="all") as server:
        assert [model["name"] for model in server.client.get("/v1/models").json()["models"]] == ["faces"]


def test_equal_files_give_an_equal_image_and_the_time_is_source_date_epoch(models: Path, tmp_path: Path):
    outputs = []
    for number, names in enumerate((("faces", "digits"), ("digits", "faces"))):
        out = tmp_path / f"{number}.tar"
        done = run(*names, "--models", models, "--tag", _TAG, "--out", out, SOURCE_DATE_EPOCH="1795000000")
        assert done.returncode == 0, done.stderr
        outputs.append((out.read_bytes(), done.stdout))
    assert outputs[0] == outputs[1]
    assert images(OciArchive.read(tmp_path / "0.tar"))[0][1]["created"] == "2026-11-18T11:06:40Z"
    assert image_digest(build_image([packed_file(models / "faces.onnx")], _TAG)) not in outputs[0][1]


def test_a_base_image_keeps_its_layers_and_configuration(models: Path, tmp_path: Path):
    below = build_image([packed_file(models / "digits.onnx")], "busybox:1")
    below.write(tmp_path / "base.tar")
    archive = build_image([packed_file(models / "faces.onnx")], _TAG, base=OciArchive.read(tmp_path / "base.tar"))
    for (manifest, config), (old, _) in zip(images(archive), images(below), strict=True):
        assert manifest["layers"][:-1] == old["layers"]
        assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
        assert config["config"]["Labels"]["org.opencontainers.image.version"] == "2026.11"
    unpack(archive, images(archive)[0][0], tmp_path / "root")
    assert {path.name for path in (tmp_path / "root" / "models").iterdir()} == {"digits.onnx", "faces.onnx"}


@pytest.mark.parametrize("tag", ["faces", "Faces:1", "registry.test/faces:", "registry.test/faces:1 2", "faces@sha256:00", ""])
def test_a_malformed_tag_is_refused(tag: str):
    with pytest.raises(UserError) as caught:
        split_tag(tag)
    assert (caught.value.field, caught.value.reason) == ("tag", "malformed_tag")


def test_a_file_that_would_not_be_served_is_refused(models: Path, tmp_path: Path):
    (tmp_path / "other.onnx").write_bytes((models / "faces.onnx").read_bytes())
    (tmp_path / "broken.onnx").write_bytes(b"no generator")
    for name, reason in (("other", "wrong_name"), ("broken", "not_onnx")):
        with pytest.raises(UserError) as caught:
            packed_file(tmp_path / f"{name}.onnx")
        assert (caught.value.field, caught.value.reason) == ("model", reason)
    file = packed_file(models / "faces.onnx")
    with pytest.raises(UserError) as caught:
        build_image([file, file], _TAG)
    assert caught.value.reason == "duplicate"


def test_a_damaged_base_is_refused(models: Path, tmp_path: Path):
    for content in (b"", b"no tar file" * 100):
        (tmp_path / "base.tar").write_bytes(content)
        with pytest.raises(ArchiveError):
            OciArchive.read(tmp_path / "base.tar")
    archive = build_image([packed_file(models / "faces.onnx")], _TAG)
    archive.blobs = {digest: content + b"x" for digest, content in archive.blobs.items()}
    archive.write(tmp_path / "base.tar")
    with pytest.raises(ArchiveError) as caught:
        OciArchive.read(tmp_path / "base.tar")
    assert caught.value.reason == "damaged"


def test_push_without_skopeo_and_a_wrong_time_are_errors_of_one_line(models: Path, tmp_path: Path):
    arguments = ("faces", "--models", models, "--tag", _TAG, "--out", tmp_path / "image.tar")
    for done, field in (
        (run(*arguments, "--push", PATH=str(tmp_path)), "--push"),
        (run(*arguments, SOURCE_DATE_EPOCH="now"), "SOURCE_DATE_EPOCH"),
    ):
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: {field}: ")
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

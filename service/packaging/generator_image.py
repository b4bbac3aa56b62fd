"""Builds the OCI image of generator files: one layer with the files, for each platform, with labels from the cards."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seedmint.models.card import Card
from seedmint.models.errors import UserError, one_line
from seedmint.models.runtime.generator_file import check_name, checked_card, digest_of, read_content
from seedmint.service.packaging.oci_layout import CONFIG, INDEX, LAYER, MANIFEST, Descriptor, OciArchive, add_file

# The layer is the same for all platforms. Kubernetes pulls the image of the platform of its node.
PLATFORMS = ({"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"})
# The directory in the image for init containers and model containers. An image volume shows the files at the root.
DIRECTORY = "models"
_TAG = re.compile(
    r"(?P<name>[a-z0-9]+(?:[.-][a-z0-9]+)*(?::\d+)?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*):(?P<tag>\w[\w.-]{0,127})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A checked generator file.

    Attributes:
        name: File name in the image.
        content: The bytes of the file.
        digest: SHA-256 of the file in hexadecimal.
        card: The card.
    """

    name: str
    content: bytes
    digest: str
    card: Card


def split_tag(tag: str) -> tuple[str, str]:
    """Return the repository and the tag of an image name.

    Args:
        tag: registry.example/faces:2026.11

    Raises:
        UserError: The name has no tag, or is malformed.
    """
    match = _TAG.fullmatch(tag)
    if match is None:
        message = f"{one_line(tag)!r} is not REPOSITORY:TAG, for example registry.example/faces:2026.11, in lower case"
        raise UserError(message, field="tag", reason="malformed_tag")
    return match["name"], match["tag"]


def packed_file(path: Path) -> PackedFile:
    """Read and check a generator file.

    Args:
        path: The file: NAME.onnx, or NAME@DIGEST12.onnx for a version that is served at its pinned URLs only.

    Raises:
        UserError: The file violates the contract, or has another name than its card. Such a file would not be served.
        OSError: The file cannot be read.
    """
    try:
        content = read_content(path)
        card, digest = checked_card(content), digest_of(content)
        check_name(card, path, digest)
    except UserError as error:
        raise UserError(f"{path}: {error}", field="model", reason=error.reason) from None
    return PackedFile(path.name, content, digest, card)


def build_image(files: Sequence[PackedFile], tag: str, time: int = 0, base: OciArchive | None = None) -> OciArchive:
    """Build the image.

    Args:
        files: The generator files, with different names.
        tag: Name of the image, with a tag.
        time: Time of creation, in seconds since 1970. With equal files, tag, base and time, the image is equal.
        base: An image to which the layer is added, for example one that contains `cp`; None for an image with one layer.

    Returns:
        An archive whose index names one image for each platform.

    Raises:
        UserError: Two files have the same name, or the tag is malformed.
    """
    split_tag(tag)
    names = [file.name for file in files]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two files are named {name}", field="model", reason="duplicate")
    created = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    layer = _layer(files, time)
    labels = _labels(files, tag, created)
    archive = OciArchive()
    if base is None:
        images = [_image(archive, layer, labels, created, platform, {}, []) for platform in PLATFORMS]
    else:
        archive.blobs |= base.blobs
        images = [_on_base(archive, manifest, layer, labels, created) for manifest in _manifests(base, base.manifests)]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": images, "annotations": labels}
    archive.manifests = [archive.add_json(INDEX, index, annotations={"org.opencontainers.image.ref.name": tag})]
    return archive


def image_digest(archive: OciArchive) -> str:
    """Return the digest of the image, with which a deployment can pin its generators.

    Args:
        archive: The result of `build_image`.
    """
    return str(archive.manifests[0]["digest"])


def _layer(files: Sequence[PackedFile], time: int) -> bytes:
    """Return a tar file with each generator at the root and, as a hard link, in DIRECTORY."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        ordered = sorted(files, key=lambda file: file.name)
        for file in ordered:
            add_file(tar, file.name, file.content, time)
        directory = tarfile.TarInfo(DIRECTORY)
        directory.type, directory.mode, directory.mtime = tarfile.DIRTYPE, 0o755, time
        tar.addfile(directory)
        for file in ordered:
            link = tarfile.TarInfo(f"{DIRECTORY}/{file.name}")
            link.type, link.linkname, link.mode, link.mtime = tarfile.LNKTYPE, file.name, 0o444, time
            tar.addfile(link)
    return buffer.getvalue()


def _labels(files: Sequence[PackedFile], tag: str, created: str) -> dict[str, str]:
    name, version = split_tag(tag)
    ordered = sorted(files, key=lambda file: file.name)
    titles = [file.card.title for file in ordered]
    labels = {
        "org.opencontainers.image.title": name.rpartition("/")[2],
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.description": "Seedmint generators: " + ", ".join(titles),
        "seedmint.generators": json.dumps({file.name: f"sha256:{file.digest}" for file in ordered}, separators=(",", ":")),
    }
    licences = sorted({file.card.licence.weights for file in ordered if file.card.licence.weights})
    if licences:
        labels["org.opencontainers.image.licenses"] = " AND ".join(licences)
    for file in ordered:
        # The reference contains arrays, which are in the file.
        card = file.card.model_dump(mode="json", by_alias=True, exclude={"reference"}, exclude_none=True)
        labels[f"seedmint.card.{file.name.removesuffix('.onnx')}"] = json.dumps(card, separators=(",", ":"), ensure_ascii=False)
    return labels


def _image(
    archive: OciArchive,
    layer: bytes,
    labels: dict[str, str],
    created: str,
    platform: dict[str, str],
    config: dict[str, Any],
    layers: list[Descriptor],
) -> Descriptor:
    """Add the image of one platform, and return its descriptor.

    Args:
        archive: Where the image is added.
        layer: The layer with the generators.
        labels: Labels and annotations.
        created: Time of creation.
        platform: Architecture and operating system.
        config: Configuration of the image below; {} without one.
        layers: Layers of the image below.
    """
    below = config.get("rootfs", {}).get("diff_ids", [])
    history = [*config.get("history", []), {"created": created, "created_by": "seedmint package"}]
    own = config.get("config", {})
    document = config | {
        "created": created,
        "architecture": platform["architecture"],
        "os": platform["os"],
        "config": own | {"Labels": (own.get("Labels") or {}) | labels},
        "rootfs": {"type": "layers", "diff_ids": [*below, f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": history,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": archive.add_json(CONFIG, document),
        "layers": [*layers, archive.add(LAYER, layer)],
        "annotations": labels,
    }
    return archive.add_json(MANIFEST, manifest, platform=platform)


def _manifests(base: OciArchive, descriptors: list[Descriptor]) -> list[Descriptor]:
    """Return the descriptors of the images of all platforms, without attestations, whose platform is "unknown"."""
    found: list[Descriptor] = []
    for descriptor in descriptors:
        if "index" in descriptor.get("mediaType", "") or "manifest.list" in descriptor.get("mediaType", ""):
            found += _manifests(base, base.load(descriptor)["manifests"])
        elif descriptor.get("platform", {}).get("os") != "unknown":
            found.append(descriptor)
    return found


def _on_base(archive: OciArchive, descriptor: Descriptor, layer: bytes, labels: dict[str, str], created: str) -> Descriptor:
    manifest = archive.load(descriptor)
    config = archive.load(manifest["config"])
    platform = {name: config[name] for name in ("architecture", "os", "variant") if name in config}
    return _image(archive, layer, labels, created, platform, config, manifest["layers"])

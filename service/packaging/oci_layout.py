"""OCI image layouts in one tar file (`oci-archive` of Podman and Skopeo): reads and writes blobs and indexes.

Equal content gives equal bytes: entries are sorted and have neither owner nor time.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from seedmint.models.errors import UserError
from seedmint.models.files import whole_file

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"  # not compressed: weights compress little, and zlib versions differ

Descriptor = dict[str, Any]


class ArchiveError(UserError):
    """The file is not an OCI archive."""

    reason = "not_an_oci_archive"


class OciArchive:
    """The blobs and the index of an OCI archive."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: list[Descriptor] = []

    @classmethod
    def read(cls, path: Path) -> "OciArchive":
        """Read an archive and check the digest of each blob.

        Args:
            path: A tar file, for example of `skopeo copy docker://IMAGE oci-archive:FILE`.

        Raises:
            ArchiveError: The file is not an OCI archive, or a blob has another digest.
            OSError: The file cannot be read.
        """
        archive = cls()
        try:
            with tarfile.open(path) as tar:
                files = {entry.name.removeprefix("./"): entry for entry in tar if entry.isfile()}
                content = {name: _read_entry(tar, entry) for name, entry in files.items()}
            index = json.loads(content["index.json"])
            archive.manifests = list(index["manifests"])
        except (tarfile.TarError, KeyError, TypeError, ValueError):
            raise ArchiveError(f"{path} is not an OCI archive", field="base") from None
        for name, blob in content.items():
            if name.startswith("blobs/sha256/"):
                digest = f"sha256:{name.removeprefix('blobs/sha256/')}"
                if _digest(blob) != digest:
                    raise ArchiveError(f"{path} is damaged: {name} has another digest", field="base", reason="damaged")
                archive.blobs[digest] = blob
        return archive

    def add(self, media_type: str, content: bytes, **fields: Any) -> Descriptor:
        """Store a blob.

        Args:
            media_type: Its media type.
            content: Its bytes.
            fields: Further fields of the descriptor.

        Returns:
            The descriptor of the blob.
        """
        digest = _digest(content)
        self.blobs[digest] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content), **fields}

    def add_json(self, media_type: str, document: Any, **fields: Any) -> Descriptor:
        """Store a JSON document, as `add` does.

        Args:
            media_type: Its media type.
            document: The document.
            fields: Further fields of the descriptor.
        """
        return self.add(media_type, json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), **fields)

    def load(self, descriptor: Descriptor) -> Any:
        """Return the JSON document of a descriptor.

        Raises:
            ArchiveError: The blob is missing, or is not JSON.
        """
        try:
            return json.loads(self.blobs[descriptor["digest"]])
        except (KeyError, ValueError):
            message = f"the archive has no document {descriptor.get('digest')}"
            raise ArchiveError(message, field="base", reason="damaged") from None

    def write(self, path: Path) -> None:
        """Write the archive atomically.

        Args:
            path: The file, which is replaced if it exists.

        Raises:
            OSError: The file cannot be written.
        """
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests}
        files = {
            "index.json": json.dumps(index, sort_keys=True, separators=(",", ":")).encode(),
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            **{f"blobs/sha256/{digest.removeprefix('sha256:')}": blob for digest, blob in self.blobs.items()},
        }
        with whole_file(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name in sorted(files):
                add_file(tar, name, files[name])


def add_file(tar: tarfile.TarFile, name: str, content: bytes, time: int = 0) -> None:
    """Add a read-only file of root to a tar file.

    Args:
        tar: The tar file.
        name: Path of the file.
        content: Its bytes.
        time: Time of its last change, in seconds since 1970.
    """
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), 0o444, time
    tar.addfile(entry, io.BytesIO(content))


def _read_entry(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(entry)
    return b"" if file is None else file.read()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"

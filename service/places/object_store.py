"""A folder of an object store or of the Hub, through fsspec. Credentials and retries are those of the library of the store."""

import shutil
from typing import IO, Any

from seedmint.service.places.file_systems import digest_of_info, file_system, modified_of, version_of
from seedmint.service.places.store import ALIASES_FILE, RemoteFile, RemoteListing, check_aliases_size

_SUFFIX = ".onnx"
_CHUNK_BYTES = 4 << 20


class ObjectStore:
    """The files directly under a prefix."""

    def __init__(self, url: str) -> None:
        """
        Args:
            url: URL of the prefix.

        Raises:
            UserError: The library of the URL is not installed, or there is no such protocol.
        """
        self.url = url.rstrip("/")
        self.system, path = file_system(url)
        self.path = path.rstrip("/")

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return what the store says about each file, by name. A missing prefix is empty."""
        self.system.invalidate_cache()  # others write there too
        try:
            found = self.system.ls(self.path, detail=True)
        except FileNotFoundError:
            self._check_root()
            return {}
        files = {entry["name"].rstrip("/").rsplit("/", 1)[-1]: entry for entry in found if entry["type"] == "file"}
        return {name: info for name, info in files.items() if name and not name.startswith(".")}

    def _check_root(self) -> None:
        """Check that the bucket or the repository exists: a store without prefixes has no empty folder.

        Raises:
            FileNotFoundError: There is no such bucket or repository.
        """
        if self.url.startswith("hf://"):
            raise FileNotFoundError(f"{self.url} does not exist")
        root = self.path.partition("/")[0]
        if root and root != self.path:
            self.system.ls(root, detail=False)
        else:
            raise FileNotFoundError(f"{self.url} does not exist")

    def list(self) -> RemoteListing:
        """Implement `Store`."""
        entries = self.entries()
        files = []
        for name, info in sorted(entries.items()):
            if name.endswith(_SUFFIX):
                version = version_of(info) or f"size {info.get('size')}, {modified_of(info)}"
                files.append(
                    RemoteFile(name.removesuffix(_SUFFIX), version, info.get("size"), modified_of(info), digest_of_info(info))
                )
        aliases = entries.get(ALIASES_FILE)
        return RemoteListing(tuple(files), None if aliases is None else version_of(aliases) or str(modified_of(aliases)))

    def fetch(self, file: RemoteFile, target: IO[bytes]) -> None:
        """Implement `Store`."""
        with self.system.open(f"{self.path}/{file.stem}{_SUFFIX}", "rb", **self._sequential()) as source:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)

    def read_aliases(self) -> bytes:
        """Implement `Store`."""
        content: bytes = self.system.cat_file(f"{self.path}/{ALIASES_FILE}")
        check_aliases_size(content)
        return content

    def _sequential(self) -> dict[str, Any]:
        """Return options of `open` for one pass over a file: read-ahead, and no further copy."""
        return {"cache_type": "readahead", "block_size": _CHUNK_BYTES}

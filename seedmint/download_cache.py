"""A cache of generator files that were read from URLs. Its size is bounded, and every file is checked against its digest."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from seedmint.models.files import write_whole

MAX_BYTES = 4 << 30  # of all files


class DownloadCache:
    """A directory of generator files, each under its SHA-256, and of the URLs that they were read from.

    Several processes may use the directory at once: files are written under temporary names and renamed.
    """

    def __init__(self, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        """
        Args:
            directory: The directory. It is created when the first file is stored.
            max_bytes: Largest size of all files. Above it, the files that were not used for the longest time are removed.
        """
        self._directory = directory
        self._max_bytes = max_bytes

    def find(self, digest: str) -> bytes | None:
        """Return the file with a digest, or None if the cache does not have it.

        Args:
            digest: SHA-256 in hexadecimal, or its first digits.
        """
        for path in sorted(self._directory.glob(f"{digest}*.onnx")):
            content = self._checked(path)
            if content is not None:
                return content
        return None

    def lookup(self, url: str, version: str) -> bytes | None:
        """Return the file that was stored for one version of a URL, or None if the cache does not have it.

        Args:
            url: The URL.
            version: Text that changes when the file at the URL changes, such as its ETag.
        """
        try:
            entry = json.loads(self._entry(url).read_text(encoding="utf-8"))
            digest = entry["digest"] if entry["version"] == version else None
        except (OSError, ValueError, KeyError, TypeError):  # absent or damaged
            return None
        return self.find(digest) if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) else None

    def store(self, url: str, version: str, content: bytes) -> None:
        """Store a file, and remove old files if the cache becomes too large.

        Args:
            url: The URL of the file.
            version: As for `lookup`.
            content: The bytes of the file. A file that is larger than the whole cache is not stored.

        Raises:
            OSError: The directory is not writable, or the disk is full.
        """
        if len(content) > self._max_bytes:
            return
        digest = self.keep(content).stem
        write_whole(self._entry(url), json.dumps({"url": url, "version": version, "digest": digest}).encode())

    def keep(self, content: bytes) -> Path:
        """Store a file, and remove old files if the cache becomes too large. Return the path of the file.

        Args:
            content: The bytes of the file.

        Raises:
            OSError: The directory is not writable, or the disk is full.
        """
        path = self._directory / f"{hashlib.sha256(content).hexdigest()}.onnx"
        write_whole(path, content)
        self._evict()
        return path

    def _checked(self, path: Path) -> bytes | None:
        """Return the content of a file, and remove the file if its content has another digest."""
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == path.stem:
                with suppress(OSError):  # a cache of another user
                    os.utime(path)
                return content
            path.unlink()
        except OSError:  # another process has removed the file
            pass
        return None

    def _evict(self) -> None:
        """Remove old files, but never the newest one."""
        total = 0
        for position, (_, size, path) in enumerate(sorted(self._files(), reverse=True)):
            total += size
            if position and total > self._max_bytes:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self._directory.glob("*.onnx"):
            with suppress(FileNotFoundError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path

    def _entry(self, url: str) -> Path:
        return self._directory / f"{hashlib.sha256(url.encode()).hexdigest()}.json"

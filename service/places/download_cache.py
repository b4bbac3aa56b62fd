"""A cache of generator files that were read from URLs. Its size is bounded, and every file is checked against its digest."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from seedmint.models.directory import split_version
from seedmint.models.errors import UserError
from seedmint.models.files import sync_directory, write_whole
from seedmint.models.places import place_name
from seedmint.service.places.locks import new_locked, remove_unlocked
from seedmint.service.places.store import RemoteFile, Store, StoreError
from seedmint.service.places.view import copies, drop_unused_view

MAX_BYTES = 4 << 30  # of all files
_ABANDONED_SECONDS = 3600.0  # a temporary file that nobody wrote to for this time
_DOWNLOAD = re.compile(r"\.[0-9a-f]{32}", re.ASCII)  # name of the temporary file of a download


class CacheFullError(UserError):
    """Files in use leave no room in the cache."""

    reason = "cache_full"


class DownloadCache:
    """A directory of generator files, each under its SHA-256, and of the URLs that they were read from.

    Several processes may use the directory at once: files are written under temporary names and renamed. A file with a second
    hard link is in use by a server (`view.py`), and stays.
    """

    def __init__(self, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        """
        Args:
            directory: The directory. It is created when the first file is stored.
            max_bytes: Largest size of all files. Above it, the files that were not used for the longest time are removed.
        """
        self.directory = directory
        self._max_bytes = max_bytes

    def find(self, digest: str) -> bytes | None:
        """Return the file with a digest, or None if the cache does not have it.

        Args:
            digest: SHA-256 in hexadecimal, or its first digits.
        """
        whole = self.verified_digest(digest)
        if whole is not None:
            with suppress(OSError):  # another process has removed the file since
                content = self.path_of(whole).read_bytes()
                return content if hashlib.sha256(content).hexdigest() == whole else None
        return None

    def lookup(self, url: str, version: str) -> bytes | None:
        """Return the file that was stored for one version of a URL, or None if the cache does not have it.

        Args:
            url: The URL.
            version: Text that changes when the file at the URL changes, such as its ETag.
        """
        digest = self._recorded(url, version)
        return None if digest is None else self.find(digest)

    def lookup_digest(self, url: str, version: str) -> str | None:
        """Return the digest of the file that was stored for one version of a URL, or None if the cache does not have it.

        Args:
            url: The URL.
            version: As for `lookup`.
        """
        digest = self._recorded(url, version)
        return None if digest is None else self.verified_digest(digest)

    def _recorded(self, url: str, version: str) -> str | None:
        try:
            entry = json.loads(self._entry(url).read_text(encoding="utf-8"))
            digest = entry["digest"] if entry["version"] == version else None
        except (OSError, ValueError, KeyError, TypeError):  # absent or damaged
            return None
        return digest if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) else None

    def record(self, url: str, version: str, digest: str) -> None:
        """Record which file one version of a URL is.

        Args:
            url: The URL.
            version: As for `lookup`.
            digest: SHA-256 of the file.

        Raises:
            OSError: The directory is not writable, or the disk is full.
        """
        write_whole(self._entry(url), json.dumps({"url": place_name(url), "version": version, "digest": digest}).encode())

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
        self.record(url, version, self.keep(content).stem)

    def keep(self, content: bytes) -> Path:
        """Store a file, and remove old files if the cache becomes too large. Return the path of the file.

        Args:
            content: The bytes of the file.

        Raises:
            OSError: The directory is not writable, or the disk is full.
        """
        path = self.directory / f"{hashlib.sha256(content).hexdigest()}.onnx"
        write_whole(path, content)
        self._evict()
        return path

    def path_of(self, digest: str) -> Path:
        """Return the path of the file with a digest, which the cache may not have.

        Args:
            digest: SHA-256 in hexadecimal.
        """
        return self.directory / f"{digest}.onnx"

    def verified_digest(self, digest: str) -> str | None:
        """Return the whole digest of a file after a check of its content, or None if the cache does not have the file.

        Args:
            digest: SHA-256 in hexadecimal, or its first digits.
        """
        if not re.fullmatch("[0-9a-f]{12,64}", digest):
            return None
        for path in sorted(self.directory.glob(f"{digest}*.onnx")):
            if self._is_whole(path):
                return path.stem
        return None

    def fetch(self, store: Store, file: RemoteFile) -> str:
        """Return the digest of a file of a store, after a download unless the cache has the file.

        The content must have the digest that the store says, or else the digest in the name of the file.

        Args:
            store: The store. Its `fetch` may raise any error of its library.
            file: The file, from the listing of the store.

        Raises:
            CacheFullError: As for `receive`.
            StoreError: As for `receive`.
            OSError: As for `receive`.
        """
        expected = file.digest or split_version(file.stem)[1]
        if expected is not None and (digest := self.verified_digest(expected)) is not None:
            return digest
        return self.receive(lambda target: store.fetch(file, target), file.size, expected)

    def receive(self, download: Callable[[IO[bytes]], None], size: int | None, expected: str | None) -> str:
        """Store a file that is downloaded, without keeping it in memory. Return its digest.

        Args:
            download: Writes the content to a file.
            size: Size in bytes that the content must have; None if not known.
            expected: SHA-256 that the content must have, or its first digits; None for any.

        Raises:
            CacheFullError: Files in use leave no room for the file.
            StoreError: The content is larger than 2 GiB, or has another size or digest.
            OSError: The directory is not writable, or the disk is full.
        """
        from seedmint.models.runtime.generator_file import MAX_FILE_BYTES

        self.directory.mkdir(parents=True, exist_ok=True)
        self.remove_abandoned()
        self._make_room(size or 0)
        temporary = self.directory / f".{uuid4().hex}"
        try:
            with new_locked(temporary) as file:
                target = _HashingFile(file, min(MAX_FILE_BYTES, self._max_bytes))
                download(target)  # type: ignore[arg-type]  # libraries only call `write`
                file.flush()
                os.fsync(file.fileno())
            if size is not None and target.size != size:
                raise StoreError(f"{target.size} bytes arrived of {size}", reason="truncated")
            digest = target.digest
            if expected is not None and not digest.startswith(expected):
                raise StoreError(f"the digest of the content is {digest[:12]}, not {expected}", reason="wrong_digest")
            self._make_room(target.size)
            temporary.replace(self.path_of(digest))
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(self.directory)
        return digest

    def remove_abandoned(self) -> None:
        """Remove temporary files of processes that were killed. A process that still downloads holds a lock on its file."""
        limit = time.time() - _ABANDONED_SECONDS
        for path in self.directory.glob(".*"):
            with suppress(OSError):
                if path.is_file() and path.stat().st_mtime < limit:
                    path.unlink()
                elif _DOWNLOAD.fullmatch(path.name):
                    remove_unlocked(path)

    def _make_room(self, size: int) -> None:
        """Remove the files that were not used for the longest time, until there is room for a new file.

        Raises:
            CacheFullError: Files in use leave no room.
        """
        while True:
            files = sorted(self._files())
            total = sum(entry[1] for entry in files) + copies(self.directory)
            for _, file_size, path in files:
                if total + size <= self._max_bytes:
                    return
                with suppress(FileNotFoundError):
                    if path.stat().st_nlink == 1:
                        path.unlink()
                        total -= file_size
            if total + size <= self._max_bytes:
                return
            if not drop_unused_view(self.directory):
                raise CacheFullError(
                    f"{total} of {self._max_bytes} bytes of the cache are in use, and {size} more are needed: "
                    "raise SEEDMINT_MODELS_CACHE_BYTES",
                    field="models_cache_bytes",
                )

    def _is_whole(self, path: Path) -> bool:
        """Return whether a file has the digest in its name, and remove the file if not. Never reads the whole file at once."""
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest == path.stem:
                with suppress(OSError):  # a cache of another user
                    os.utime(path)
                return True
            path.unlink()
        except OSError:  # another process has removed the file
            pass
        return False

    def _evict(self) -> None:
        """Remove old files that are not in use, but never the newest one."""
        total = copies(self.directory)
        for position, (_, size, path) in enumerate(sorted(self._files(), reverse=True)):
            total += size
            if position and total > self._max_bytes:
                with suppress(FileNotFoundError):
                    if path.stat().st_nlink == 1:
                        path.unlink()

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.directory.glob("*.onnx"):
            with suppress(FileNotFoundError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path

    def _entry(self, url: str) -> Path:
        return self.directory / f"{hashlib.sha256(url.encode()).hexdigest()}.json"


class _HashingFile:
    """A file that computes the SHA-256 of its content, and refuses content beyond a limit."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._limit = limit
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    def write(self, content: bytes) -> int:
        self.size += len(content)
        if self.size > self._limit:
            raise StoreError(f"larger than {self._limit} bytes", reason="too_large_file")
        self._sha256.update(content)
        return self._file.write(content)

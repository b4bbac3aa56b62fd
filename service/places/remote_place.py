"""A remote place, followed in a thread: lists the store at an interval, and keeps its files in the cache."""

import os
import threading
import time
from collections.abc import Callable

from seedmint.models.errors import UserError, one_line
from seedmint.models.places import is_web_file, place_name
from seedmint.service.places.download_cache import CacheFullError, DownloadCache
from seedmint.service.places.object_store import ObjectStore
from seedmint.service.places.place import FoundFile, Listing, PlaceStatus
from seedmint.service.places.store import RemoteFile, RemoteListing, Store, StoreError
from seedmint.service.places.view import View, ViewFile
from seedmint.service.places.web_file import WebFile

_FIRST_RETRY_SECONDS = 1.0
# Reasons for which the same version of a file is refused again at each attempt.
_PERMANENT = frozenset({"wrong_digest", "too_large_file", "too_long_name"})
_MAX_STEM_BYTES = 200  # file systems allow 255 with suffixes


def open_store(url: str) -> Store:
    """Return the store of a URL.

    Args:
        url: The URL.

    Raises:
        UserError: The library of the URL is not installed, or there is no such protocol.
    """
    return WebFile(url) if is_web_file(url) else ObjectStore(url)


class RemotePlace:
    """The files of a URL. All methods but `sync` return at once."""

    def __init__(self, url: str, cache: DownloadCache, interval_seconds: float) -> None:
        """
        Args:
            url: The URL.
            cache: Keeps the files.
            interval_seconds: Time between two listings.

        Raises:
            OSError: The cache is not writable.
        """
        self.name = place_name(url)
        self._url = url
        self._cache = cache
        self._interval = interval_seconds
        self._store: Store | None = None
        self._view = View(cache.directory, url)
        cache.remove_abandoned()
        # The files of the last listing whose newest version is refused.
        self._refused: dict[str, tuple[str, Exception]] = {}  # stem -> version, and why
        self._refused_aliases: tuple[str | None, Exception] | None = None  # version, and why
        self._failures = 0  # in succession
        self._wake = threading.Event()
        self._is_closed = False
        self._on_change: Callable[[], None] = _do_nothing
        self._status = PlaceStatus(self.name, is_known=self._view.is_known)
        self._listing = self._make_listing()
        self._thread = threading.Thread(target=self._run, name="seedmint-place", daemon=True)

    def start(self, on_change: Callable[[], None]) -> None:
        """Implement `Place`."""
        self._on_change = on_change
        self._thread.start()

    def close(self) -> None:
        """Implement `Place`. A download in progress ends with the process."""
        self._is_closed = True
        self._wake.set()
        if not self._thread.is_alive():
            self._view.close()

    def refresh(self) -> None:
        """Implement `Place`."""
        self._wake.set()

    def list(self) -> Listing:
        """Implement `Place`."""
        return self._listing

    def open(self, file: FoundFile) -> int:
        """Implement `Place`."""
        return os.open(file.path, os.O_RDONLY)

    def status(self) -> PlaceStatus:
        """Implement `Place`."""
        return self._status

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.clear()
            self.sync()
            retry = _FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 20)
            self._wake.wait(min(self._interval, retry) if self._failures else self._interval)
        self._view.close()

    def sync(self, wanted: Callable[[str], bool] | None = None) -> PlaceStatus:
        """List the store once, and download what has changed. What is here stays if the store fails.

        Args:
            wanted: Decides by its stem whether a file is downloaded; None for all files.

        Returns:
            The status after the attempt.
        """
        error: Exception | None = None
        try:
            if self._store is None:
                self._store = open_store(self._url)
            error = self._apply(self._store, self._store.list(), wanted)
        except Exception as caught:  # each library has its own errors
            error = caught
        self._failures = self._failures + 1 if error is not None else 0
        read_at = self._status.read_at if error is not None else time.monotonic()
        self._status = PlaceStatus(self.name, error and described(error), read_at, self._view.is_known, True)
        self._publish()
        return self._status

    def _apply(self, store: Store, listing: RemoteListing, wanted: Callable[[str], bool] | None) -> Exception | None:
        """Make the view as the listing says. Return the error of the first file that may succeed at the next attempt."""
        present = {file.stem for file in listing.files}
        for stem in self._view.files.keys() - present:
            self._view.remove(stem)
        self._refused = {stem: refused for stem, refused in self._refused.items() if stem in present}
        self._view.set_known()
        first_error = self._update_aliases(store, listing.aliases)
        self._publish()
        for file in listing.files:
            if wanted is not None and not wanted(file.stem):
                continue
            error = self._update(store, file)
            first_error = first_error or error
            self._publish()
        return first_error

    def _update_aliases(self, store: Store, version: str | None) -> Exception | None:
        """Read the file `aliases` if it has changed; its last content stays if it cannot be read.

        A file that is too large or not readable is an error of the file alone. Return any other error.
        """
        refused = self._refused_aliases
        if refused is not None and refused[0] == version and not isinstance(refused[1], PermissionError):
            return None
        try:
            if version != self._view.aliases_version:
                text = None if version is None else store.read_aliases().decode(errors="replace")
                self._view.set_aliases(version, text)
        except Exception as error:
            if _is_permanent(error) or isinstance(error, PermissionError):
                self._refused_aliases = version, error
                return None
            return error
        self._refused_aliases = None
        return None

    def _update(self, store: Store, file: RemoteFile) -> Exception | None:
        """Download one file if it has changed. Return an error that may not happen again."""
        known = self._view.files.get(file.stem)
        if known is not None and known.version == file.version:
            self._refused.pop(file.stem, None)
            return None
        if file.stem in self._refused and self._refused[file.stem][0] == file.version:
            return None
        try:
            digest = self._receive(store, file)
            modified = time.time() if file.modified is None else file.modified
            self._view.put(file.stem, ViewFile(file.version, digest, modified))
        except Exception as error:
            if _is_permanent(error):
                self._refused[file.stem] = (file.version, error)
                return None
            if isinstance(error, CacheFullError):
                return error
            return StoreError(
                f"{one_line(file.stem)}.onnx: {_text(error)}", reason=error.reason if isinstance(error, UserError) else None
            )
        self._refused.pop(file.stem, None)
        return None

    def _receive(self, store: Store, file: RemoteFile) -> str:
        """Return the digest of a file, after a download unless the cache has the file."""
        if len(os.fsencode(file.stem)) > _MAX_STEM_BYTES:
            raise StoreError(f"the name is longer than {_MAX_STEM_BYTES} bytes", reason="too_long_name")
        return self._cache.fetch(store, file)

    def _publish(self) -> None:
        listing = self._make_listing()
        if listing != self._listing or not self._status.is_tried:
            self._listing = listing
            self._on_change()

    def _make_listing(self) -> Listing:
        files = {}
        for stem, file in self._view.files.items():
            version = (int(file.digest[:15], 16), hash(file.version))
            files[stem] = FoundFile(self._view.path(stem), version, file.modified, is_whole=True)
        errors = {stem: error for stem, (_, error) in self._refused.items()}
        aliases_error = self._refused_aliases and self._refused_aliases[1]
        return Listing(files, errors, self._view.aliases, aliases_error)


def described(error: Exception) -> UserError:
    """Return an error with a message of one line.

    Args:
        error: An error of the library of a store.
    """
    if isinstance(error, UserError):
        return error
    if isinstance(error, FileNotFoundError):
        text = _text(error)
        return StoreError(f"there is no {text}" if " " not in text else text, reason="not_found")  # some libraries name it only
    return StoreError(_text(error), reason="download_failed")


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, UserError) and error.reason in _PERMANENT


def _text(error: Exception) -> str:
    """Return the first line of a message. Libraries append the whole answer of the store."""
    return one_line(next((line for line in str(error).splitlines() if line.strip()), type(error).__name__))


def _do_nothing() -> None:
    pass

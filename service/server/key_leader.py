"""The API keys of a server: the supervisor reads the key file, and sends the keys to all workers."""

import logging
import time
from pathlib import Path
from typing import Any, Protocol

from seedmint.service.server.api_keys import Entry, Keyring, key_entries
from seedmint.service.settings import Settings, SettingsError

_LOG = logging.getLogger(__name__)
ABOUT = "keys"

# Identifies a version of the key file: times of modification and change in ns, size in bytes, inode.
_FileVersion = tuple[int, int, int, int]


class Link(Protocol):
    """The connection to one worker."""

    def send(self, message: dict[str, Any], file: int | None = None) -> None:
        """Send a message.

        Args:
            message: The message.
            file: An open file that the worker receives.
        """


class KeyLeader:
    """Reads the API keys again when their file changes. Invalid keys are refused, and the previous keys stay valid."""

    def __init__(self, settings: Settings) -> None:
        """
        Args:
            settings: The settings of the server, with valid API keys.

        Raises:
            SettingsError: The keys are invalid.
        """
        self._settings = settings
        self._entries = _read(settings)
        self._links: set[Link] = set()
        self._loaded = self._seen = _version_of(settings.api_keys_file)
        self._next_look = 0.0

    def attach(self, link: Link) -> None:
        """Send the keys to a new worker.

        Args:
            link: The connection to the worker.
        """
        self._links.add(link)
        self._send(link)

    def detach(self, link: Link) -> None:
        """Forget a worker that has exited.

        Args:
            link: The connection to the worker.
        """
        self._links.discard(link)

    def handle(self, link: Link, message: dict[str, Any]) -> None:
        """Do nothing: workers do not answer.

        Args:
            link: The connection to the worker.
            message: A message of the worker.
        """

    def poll(self) -> None:
        """Read a changed key file if two looks find the same version, because a file is incomplete while it is written."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + self._settings.watch_seconds
        version = _version_of(self._settings.api_keys_file)
        is_stable, self._seen = version == self._seen, version
        if version is not None and is_stable and version != self._loaded:
            self._loaded = version
            self.reload()

    def reload(self) -> None:
        """Read the key file, and send the keys to all workers if they are valid and have changed."""
        try:
            entries = _read(self._settings)
        except SettingsError as error:
            _LOG.error("%s; the previous API keys stay valid", error)
            return
        if entries == self._entries:
            return
        self._entries = entries
        for link in self._links:
            self._send(link)
        _LOG.info("API keys changed: %d keys", len(entries))

    def _send(self, link: Link) -> None:
        link.send({"about": ABOUT, "type": "keys", "entries": self._entries})


def _read(settings: Settings) -> list[Entry]:
    entries = key_entries(settings)
    Keyring(entries)  # raises if an entry is invalid
    return entries


def _version_of(path: Path | None) -> _FileVersion | None:
    try:
        status = None if path is None else path.stat()
    except OSError:  # a reload reports the error; a file that comes back is a new version
        return None
    return None if status is None else (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)

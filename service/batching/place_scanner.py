"""The thread with which the leader follows the files of all places."""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seedmint.models.errors import UserError, one_line
from seedmint.service.batching.other_files import OtherFiles
from seedmint.service.places.aliases import parse_aliases
from seedmint.service.places.folder_place import FolderPlace
from seedmint.service.places.merging import merge, merge_pins
from seedmint.service.places.place import FoundFile, Listing, Place, PlaceStatus

_LOG = logging.getLogger(__name__)
_MAX_FIRST_SECONDS = 10.0  # of the first listing and download of remote places, after which the other places are served


def reason_and_message(error: Exception) -> tuple[str, str]:
    """Return a stable code for an error, and its message in one line.

    Args:
        error: Why a file or a place cannot be used.
    """
    if isinstance(error, UserError):
        return error.reason, one_line(error)
    if isinstance(error, OSError):
        return "unreadable", one_line(error.strerror or error)
    return "unexpected", one_line(f"{type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Change:
    """A new version of a file.

    Attributes:
        stem: Name of the file without suffix.
        descriptor: The open file, which stays the same file if another file replaces it; None if the version is refused.
        error: Why the version is refused; None if it is not.
        modified: Time of the last change in seconds since 1970.
    """

    stem: str
    descriptor: int | None
    error: Exception | None
    modified: float = 0.0


@dataclass(frozen=True, slots=True)
class Scan:
    """The changes between two scans.

    Attributes:
        changes: New versions.
        removed: Stems of removed files.
        warnings: One line for each file of another format.
        statuses: Whether each place can be read.
        pins: Digest of the version that a name is pinned to, or its first digits, by name.
        alias_errors: Why the file `aliases` of a place is refused, by the name of the place.
        is_complete: Whether this and the earlier scans have found the files of all places that can be read within the first
            ten seconds.
    """

    changes: tuple[Change, ...] = ()
    removed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    statuses: tuple[PlaceStatus, ...] = ()
    pins: Mapping[str, str] = field(default_factory=dict)
    alias_errors: Mapping[str, str] = field(default_factory=dict)
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class _Found:
    """The file of a stem in the first place that has one, and the error of its newest version."""

    place: Place
    file: FoundFile | None
    error: Exception | None

    @property
    def version(self) -> tuple[object, ...]:
        return self.place.name, self.file and self.file.version, self.error and str(self.error)


class PlaceScanner:
    """Scans the places in a thread of its own, because a network file system may block for a long time."""

    def __init__(self, places: Sequence[Place], interval_seconds: float) -> None:
        """
        Args:
            places: The places. Of two files of one name, the file of the earlier place counts.
            interval_seconds: Time between two scans.
        """
        self._places = places
        self._interval = interval_seconds
        self._other_files = [OtherFiles(place.folder) for place in places if isinstance(place, FolderPlace)]
        self._listings: dict[int, Listing] = {}  # the last one of each place, by its position
        self._pins: dict[int, dict[str, str]] = {}  # of the last valid file `aliases` of each place, by its position
        self._seen: dict[str, tuple[object, ...]] = {}
        self._reported: dict[str, tuple[object, ...]] = {}
        self._listed: set[str] = set()  # names of the places that an earlier scan has listed
        self._has_scanned = False
        self._began = time.monotonic()
        self._wake = threading.Event()
        self._is_closed = False
        self._scans: deque[Scan] = deque()
        self._retries: deque[str] = deque()
        self._thread = threading.Thread(target=self._run, name="seedmint-scan", daemon=True)

    def start(self) -> None:
        """Start to scan."""
        for place in self._places:
            place.start(self._wake.set)
        self._thread.start()

    def close(self) -> None:
        """Stop after the scan in progress."""
        self._is_closed = True
        self._wake.set()
        for place in self._places:
            place.close()

    def scan_soon(self) -> None:
        """Start the next scan at once, and the next listing of each remote place."""
        for place in self._places:
            place.refresh()
        self._wake.set()

    def retry(self, stem: str) -> None:
        """Report the present version of a file again at the next scan.

        Args:
            stem: Name of the file without suffix.
        """
        self._retries.append(stem)

    def take(self) -> list[Scan]:
        """Return the scans since the last call, the oldest first."""
        scans = []
        while self._scans:
            scans.append(self._scans.popleft())
        return scans

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.clear()
            try:
                self._scans.append(self.scan())
            except Exception:  # the next scan may succeed
                _LOG.exception("scan failed")
            self._wake.wait(self._interval)

    def scan(self) -> Scan:
        """Compare the places with the last scan. The files of a place that cannot be read stay as they were."""
        while self._retries:
            self._reported.pop(self._retries.popleft(), None)
        for position, place in enumerate(self._places):
            try:
                self._listings[position] = place.list()
            except Exception:  # the status of the place has the error
                continue
        pins, alias_errors = self._read_aliases()
        found = self._merged()
        removed = tuple(self._seen.keys() - found.keys())
        for stem in removed:
            self._reported.pop(stem, None)
        changed = [stem for stem, entry in found.items() if self._is_due(stem, entry)]
        self._seen = {stem: entry.version for stem, entry in found.items()}
        self._listed |= {self._places[position].name for position in self._listings}
        changes = tuple(self._open(stem, found[stem]) for stem in changed)
        statuses = tuple(place.status() for place in self._places)
        has_waited = time.monotonic() - self._began > _MAX_FIRST_SECONDS  # a store may not answer, or be large
        is_complete = has_waited or all(status.is_tried or status.is_known for status in statuses)
        is_complete &= any(status.is_known for status in statuses)
        self._has_scanned |= is_complete
        return Scan(changes, removed, self._warnings(), statuses, pins, alias_errors, is_complete)

    def _merged(self) -> dict[str, _Found]:
        files = {
            position: dict.fromkeys(sorted({*listing.files, *listing.errors}), listing)
            for position, listing in self._listings.items()
        }
        return {
            stem: _Found(self._places[position], listing.files.get(stem), listing.errors.get(stem))
            for stem, (position, listing) in merge(files).items()
        }

    def _is_due(self, stem: str, entry: _Found) -> bool:
        """Return whether a file is reported now: if it is complete, and if this version was not reported before.

        A file of a folder counts as complete when two scans find the same version, because a file is incomplete while it is
        copied. At the start, the first scan of a folder reports all files.
        """
        if entry.version == self._reported.get(stem):
            return False
        is_whole = entry.file is None or entry.file.is_whole
        is_first = not self._has_scanned and entry.place.name not in self._listed
        return is_whole or entry.version == self._seen.get(stem) or is_first

    def _open(self, stem: str, entry: _Found) -> Change:
        error, file = entry.error, entry.file
        descriptor = None
        if error is None:
            assert file is not None
            try:
                descriptor = entry.place.open(file)
            except Exception as caught:
                error = caught
        if not isinstance(error, OSError):  # an unreadable file is tried again at each scan
            self._reported[stem] = entry.version
        return Change(stem, descriptor, error, 0.0 if file is None else file.modified)

    def _read_aliases(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the pins of all places, and the errors of wrong files, whose last valid version counts on."""
        errors: dict[str, str] = {}
        for position, listing in sorted(self._listings.items()):
            error = listing.aliases_error
            if error is None:
                try:
                    self._pins[position] = parse_aliases(listing.aliases or "")
                except UserError as caught:
                    error = caught
            if error is not None:
                reason, message = reason_and_message(error)
                errors[self._places[position].name] = f"({reason}): {message}"
        return merge_pins(self._pins), errors

    def _warnings(self) -> tuple[str, ...]:
        messages: list[str] = []
        for other_files in self._other_files:
            try:
                messages += other_files.new_messages()
            except OSError:  # the status of the place has the error
                continue
        return tuple(messages)

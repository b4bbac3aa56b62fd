"""The state of the places in the leader and in the workers: readable or not, and since when."""

import logging
import time
from dataclasses import asdict, dataclass
from typing import Any

from seedmint.models.errors import one_line
from seedmint.service.batching.place_scanner import Scan, reason_and_message
from seedmint.service.places.place import PlaceStatus

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlaceState:
    """Whether a place can be read.

    Attributes:
        name: Name in logs and metrics.
        is_up: Whether the last attempt succeeded.
        is_remote: Whether the place is a URL.
        read_at: Time of the last success in seconds of `time.monotonic`, which all processes share; None if the place is a
            folder that can be read, or if this server has not read the place yet.
    """

    name: str
    is_up: bool
    is_remote: bool
    read_at: float | None

    @property
    def age(self) -> float | None:
        """Seconds since the last success; None if this server has not read the place yet."""
        if self.read_at is None:
            return 0.0 if self.is_up else None
        return max(0.0, time.monotonic() - self.read_at)


class PlaceStates:
    """The states of all places in the leader. Logs one line for each change of a state."""

    def __init__(self) -> None:
        self._statuses: tuple[PlaceStatus, ...] = ()
        self._errors: dict[str, str] = {}
        self._alias_errors: dict[str, str] = {}
        self._read_at: dict[str, float] = {}

    @property
    def has_error(self) -> bool:
        """Whether a place cannot be read."""
        return bool(self._errors)

    def update(self, scan: Scan) -> None:
        """Take the states of a scan.

        Args:
            scan: The scan.
        """
        self._statuses = scan.statuses
        for status in scan.statuses:
            self._log(status)
            if status.is_tried and status.error is None:
                self._read_at[status.name] = time.monotonic() if status.read_at is None else status.read_at
        for name, text in scan.alias_errors.items():
            if self._alias_errors.get(name) != text:
                _LOG.error("aliases of %s: refused %s; the previous aliases stay", name, text)
        self._alias_errors = dict(scan.alias_errors)

    def _log(self, status: PlaceStatus) -> None:
        if not status.is_tried:
            return
        if status.error is None:
            if self._errors.pop(status.name, None) is not None:
                _LOG.warning("%s: can be read again", one_line(status.name))
            return
        reason, message = reason_and_message(status.error)
        before = self._errors.get(status.name)
        # A store that fails in different ways is one state. A folder has few and permanent errors.
        if before is None or (not _is_remote(status) and before != message):
            stays = "; its generators stay in service" if status.is_known else ""
            _LOG.error("scan of %s failed (%s): %s%s", one_line(status.name), reason, message, stays)
        self._errors[status.name] = message

    def documents(self) -> list[dict[str, Any]]:
        """Return the states for a message to the workers."""
        return [asdict(self._state(status)) for status in self._statuses]

    def _state(self, status: PlaceStatus) -> PlaceState:
        is_up = status.is_tried and status.error is None
        is_remote = _is_remote(status)
        read_at = self._read_at.get(status.name) if is_remote or not is_up else None
        return PlaceState(status.name, is_up, is_remote, read_at)


def _is_remote(status: PlaceStatus) -> bool:
    return "://" in status.name

"""Whether a server is ready, by the settings `ready_when` and `required_models`."""

import logging
from collections.abc import Collection, Iterable

from seedmint.models.errors import one_line
from seedmint.models.places import place_name
from seedmint.service.batching.place_states import PlaceState
from seedmint.service.settings import Settings

_LOG = logging.getLogger(__name__)


class Readiness:
    """Logs each new reason why a server is not ready.

    The conditions on all files and on required generators apply only until the server is ready for the first time, so that one
    wrong file in a shared directory never takes all servers out of service.
    """

    def __init__(self, settings: Settings) -> None:
        """
        Args:
            settings: The settings of the server.
        """
        self._settings = settings
        self._was_ready = False
        self._reason: str | None = None

    def check(self, served: Collection[str], refused: Iterable[str], places: Iterable[PlaceState]) -> bool:
        """Return whether the server is ready.

        Args:
            served: Names of the generators in service.
            refused: Stems of the refused files.
            places: The states of the places.
        """
        reason = self._reason_not_ready(served, refused, places)
        if reason != self._reason and reason is not None:
            _LOG.warning("not ready: %s", reason)
        self._reason = reason
        self._was_ready |= reason is None
        return reason is None

    def _reason_not_ready(self, served: Collection[str], refused: Iterable[str], places: Iterable[PlaceState]) -> str | None:
        settings = self._settings
        if not self._was_ready:
            if missing := [name for name in settings.required_models if name not in served]:
                return f"required generators are not served: {', '.join(missing)}"
            if settings.ready_when == "all" and (stems := list(refused)):
                return f"files are refused: {', '.join(map(one_line, stems))}"
            if settings.ready_when == "all" and (down := [place.name for place in places if not place.is_up]):
                return f"places cannot be read: {', '.join(map(one_line, down))}"
        if not served and settings.ready_when != "serving":
            return f"no generator of {', '.join(map(place_name, settings.models))} is served"
        return None

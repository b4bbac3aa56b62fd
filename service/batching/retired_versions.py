"""Versions whose file was replaced or removed: their pinned URLs stay valid for a while, and their metrics for longer."""

import time
from typing import Generic, TypeVar

from seedmint.models.runtime.generator_file import DIGEST12
from seedmint.service.telemetry.request_context import GeneratorId

LINGER_SECONDS = 10.0  # for a client that was redirected to a version just before its file was replaced or removed
_RECENT_SECONDS = 300.0  # for the metrics: longer than any scrape interval

Served = TypeVar("Served")


class RetiredVersions(Generic[Served]):
    """Retired versions by name and digest. All times are monotonic seconds."""

    def __init__(self) -> None:
        self._retired: dict[tuple[str, str], tuple[Served, float]] = {}  # by name and digest12, with the end of the time
        self._recent: dict[GeneratorId, float] = {}  # versions with metrics, and the end of the time

    def __len__(self) -> int:
        return len(self._retired)

    def add(self, generator: GeneratorId, served: Served) -> None:
        """Keep a version that was in service until now.

        Args:
            generator: Name and digest of the generator.
            served: The version.
        """
        now = time.monotonic()
        self._retired[_key(*generator)] = served, now + LINGER_SECONDS
        self._recent = {version: until for version, until in self._recent.items() if until > now}
        self._recent[generator] = now + _RECENT_SECONDS

    def find(self, name: str, digest12: str) -> Served | None:
        """Return a version whose pinned URLs are still valid, or None.

        Args:
            name: Name of the generator.
            digest12: First twelve digits of the digest.
        """
        served, until = self._retired.get((name, digest12), (None, 0.0))
        return served if until > time.monotonic() else None

    def end(self) -> None:
        """Forget the versions whose time is over."""
        now = time.monotonic()
        self._retired = {key: (served, until) for key, (served, until) in self._retired.items() if until > now}

    def recent(self) -> list[GeneratorId]:
        """Return name and digest of the versions that the metrics still have."""
        now = time.monotonic()
        return [version for version, until in self._recent.items() if until > now]


def _key(name: str, digest: str) -> tuple[str, str]:
    return name, digest[:DIGEST12]

"""Slots of bulk requests at one generator: limits on requests that generate at the same time, and on responses in flight.

A request occupies its slot while it generates. While its client is slow to read, the request is stalled, and its slot is free
for other requests until the client continues to read. Therefore slow readers do not block other clients.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from seedmint.service.batching.errors import Limit, Overloaded

_STALLED_SECONDS = 0.25  # a request is stalled if the client has not read a piece after this time
_RESPONSES_PER_SLOT = 8  # most requests per slot, stalled ones included
_MAX_RESPONSE_BYTES = 256 << 20  # most bytes that all requests hold together
_CLIENT_RESPONSE_SHARE = 0.5  # of all requests, for one client
_CLIENT_SLOT_SHARE = 0.75  # of the slots, for one client
_SMOOTHING = 0.2  # weight of the latest request in the estimated duration of a request
_RETRY_SECONDS = 5

Clock = Callable[[], float]


class Slot:
    """The slot of one bulk request, from its first piece to its last."""

    __slots__ = ("_clock", "_sending_seconds", "_sending_since", "_started", "client")

    def __init__(self, client: str, clock: Clock) -> None:
        """
        Args:
            client: Address of the client, or name of its API key.
            clock: Returns the time in seconds.
        """
        self.client = client
        self._clock = clock
        self._started = clock()
        self._sending_since = math.inf
        self._sending_seconds = 0.0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Return a context that lasts while the client reads one piece."""
        self._sending_since = self._clock()
        try:
            yield
        finally:
            self._sending_seconds += self._clock() - self._sending_since
            self._sending_since = math.inf

    def is_stalled(self, now: float) -> bool:
        """Return whether the client is slow to read a piece.

        Args:
            now: The time in seconds.
        """
        return now - self._sending_since > _STALLED_SECONDS

    def seconds(self, now: float) -> float:
        """Return the duration of the request in seconds, without the time that the client spent reading.

        Args:
            now: The time in seconds.
        """
        return now - self._started - self._sending_seconds - max(0.0, now - self._sending_since)


class BulkSlots:
    """All slots of one generator in this process. Lives on one event loop."""

    def __init__(self, max_slots: int, request_bytes: int, clock: Clock = time.perf_counter) -> None:
        """
        Args:
            max_slots: Most requests that generate at the same time.
            request_bytes: Most bytes that one request holds.
            clock: Returns the time in seconds.
        """
        self._clock = clock
        self._max_slots = max_slots
        self._max_responses = max(max_slots, min(max_slots * _RESPONSES_PER_SLOT, _MAX_RESPONSE_BYTES // request_bytes))
        self._slots: set[Slot] = set()
        self._average_seconds = 1.0

    def __len__(self) -> int:
        """Return the number of requests in flight, stalled ones included."""
        return len(self._slots)

    @property
    def active(self) -> int:
        """Number of requests that are not stalled. Can exceed `max_slots` when several stalled clients resume."""
        now = self._clock()
        return sum(not slot.is_stalled(now) for slot in self._slots)

    @contextmanager
    def acquire(self, client: str) -> Iterator[Slot]:
        """Return a context that holds a slot.

        Args:
            client: Address of the client, or name of its API key.

        Raises:
            Overloaded: Too many requests are in flight.
        """
        self._check(client)
        slot = Slot(client, self._clock)
        self._slots.add(slot)
        try:
            yield slot
        finally:
            self._slots.remove(slot)
            self._average_seconds += _SMOOTHING * (slot.seconds(self._clock()) - self._average_seconds)

    def _check(self, client: str) -> None:
        now = self._clock()
        active = [slot for slot in self._slots if not slot.is_stalled(now)]
        if len(active) >= self._max_slots:
            raise self._overloaded("slots", f"{len(active)} bulk requests are in flight", active, now)
        own = [slot for slot in active if slot.client == client]
        if len(own) >= math.ceil(self._max_slots * _CLIENT_SLOT_SHARE):
            raise self._overloaded("slots_of_client", f"{len(own)} of your bulk requests are in flight", own, now)
        if len(self._slots) >= self._max_responses:
            detail = f"{len(self._slots)} bulk responses are in flight, and their clients read slowly"
            raise Overloaded(detail, "responses", retry_after=_RETRY_SECONDS)
        own_responses = sum(slot.client == client for slot in self._slots)
        if own_responses >= max(1, int(self._max_responses * _CLIENT_RESPONSE_SHARE)):
            detail = f"{own_responses} of your bulk responses are in flight: read them first"
            raise Overloaded(detail, "responses_of_client", retry_after=_RETRY_SECONDS)

    def _overloaded(self, limit: Limit, detail: str, active: list[Slot], now: float) -> Overloaded:
        """Return the exception for a client that must wait until one of the active requests ends."""
        # At least the duration of the longest active request, which can already exceed the average.
        seconds = max(self._average_seconds, *(slot.seconds(now) for slot in active)) / len(active)
        return Overloaded(detail, limit, retry_after=max(1, math.ceil(seconds)))

"""The places of bulk requests at one generator: a bound on what is made at the same time, and on what waits to be taken.

A place is held while there is something to make. A request whose reader is slow to take what is made gives it back until the
reader goes on, so that readers who are slow, or only pretend to read, keep nobody from being served.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from seedmint.service.batching.errors import Overloaded

_STALLED_SECONDS = 0.25  # a piece that is not taken for so long holds no place
_ANSWERS_A_PLACE = 8  # most requests, those with slow readers too
_MOST_BYTES = 256 << 20  # that they may hold
_SHARE = 0.5  # of them for one client
_SHARE_MAKING = 0.75  # of those for which something is made
_SMOOTHING = 0.2  # weight of the newest in the estimate of seconds a request
_LATER = 5

Clock = Callable[[], float]


class Place:
    """One bulk request, from its first piece to its last."""

    __slots__ = ("_began", "_clock", "_sending_since", "_sent", "client")

    def __init__(self, client: str, clock: Clock) -> None:
        self.client = client
        self._clock = clock
        self._began = clock()
        self._sending_since = math.inf
        self._sent = 0.0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While its reader takes a piece."""
        self._sending_since = self._clock()
        try:
            yield
        finally:
            self._sent += self._clock() - self._sending_since
            self._sending_since = math.inf

    def stalled(self, now: float) -> bool:
        """Whether its reader is slow to take a piece."""
        return now - self._sending_since > _STALLED_SECONDS

    def seconds(self, now: float) -> float:
        """How long it has held its place: without the time in which its reader took what was made."""
        return now - self._began - self._sent - max(0.0, now - self._sending_since)


class BulkSlots:
    """All of one generator in this process. Lives on the event loop."""

    def __init__(self, most: int, bytes_each: int, clock: Clock = time.perf_counter) -> None:
        """
        Args:
            most: requests for which something is made at the same time.
            bytes_each: the most that one request holds.
        """
        self._clock = clock
        self._most = most
        self._most_answers = max(most, min(most * _ANSWERS_A_PLACE, _MOST_BYTES // bytes_each))
        self._places: set[Place] = set()
        self._seconds = 1.0

    def __len__(self) -> int:
        """Requests under way, those with slow readers too."""
        return len(self._places)

    @property
    def active(self) -> int:
        """Those for which something is being made. More than the most while readers that were slow go on together."""
        now = self._clock()
        return sum(not place.stalled(now) for place in self._places)

    @contextmanager
    def hold(self, client: str) -> Iterator[Place]:
        """A place for a request of a client: an address, or the name of a key.

        Raises:
            Overloaded: too many requests are in flight.
        """
        self._check(client)
        place = Place(client, self._clock)
        self._places.add(place)
        try:
            yield place
        finally:
            self._places.remove(place)
            self._seconds += _SMOOTHING * (place.seconds(self._clock()) - self._seconds)

    def _check(self, client: str) -> None:
        now = self._clock()
        making = [place for place in self._places if not place.stalled(now)]
        if len(making) >= self._most:
            raise self._busy(f"{len(making)} bulk requests are under way", making, now)
        own = [place for place in making if place.client == client]
        if len(own) >= math.ceil(self._most * _SHARE_MAKING):
            raise self._busy(f"{len(own)} of your bulk requests are under way, and others need room, too", own, now)
        if len(self._places) >= self._most_answers:
            raise Overloaded(f"{len(self._places)} bulk answers wait for their readers", retry_after=_LATER)
        its = sum(place.client == client for place in self._places)
        if its >= max(1, int(self._most_answers * _SHARE)):
            raise Overloaded(f"{its} of your bulk answers are under way: read them first", retry_after=_LATER)

    def _busy(self, detail: str, making: list[Place], now: float) -> Overloaded:
        """A refusal until one of these is over."""
        # At least as long as the oldest has taken: one that outlasts the estimate shows it to be wrong.
        seconds = max(self._seconds, *(place.seconds(now) for place in making)) / len(making)
        return Overloaded(detail, retry_after=max(1, math.ceil(seconds)))

"""Limits of one client: requests a second and images a minute, as token buckets on a monotonic clock.

Each worker process counts by itself, so that several allow several times as much.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from seedmint.service.problems import Problem
from seedmint.service.settings import Settings
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

_MOST_CLIENTS = 16384  # the one away longest is forgotten, and begins anew with full buckets

Clock = Callable[[], float]


class Bucket:
    """Holds at most `size` tokens, and gains `rate` a second."""

    __slots__ = ("_clock", "_rate", "_then", "_tokens", "size")

    def __init__(self, rate: float, size: float, clock: Clock) -> None:
        self.size = size
        self._rate = rate
        self._clock = clock
        self._tokens = size
        self._then = clock()

    def take(self, tokens: float) -> float:
        """Take tokens.

        Returns:
            0 if they were there; else, with none taken, the seconds until they are. Infinite if the bucket is too small.
        """
        now = self._clock()
        self._tokens = min(self.size, self._tokens + (now - self._then) * self._rate)
        self._then = now
        if tokens <= self._tokens:
            self._tokens -= tokens
            return 0.0
        return math.inf if tokens > self.size else (tokens - self._tokens) / self._rate

    def give(self, tokens: float) -> None:
        """Put tokens back that were taken."""
        self._tokens = min(self.size, self._tokens + tokens)


class Client:
    """The buckets of one key or address; None is without limit."""

    __slots__ = ("_images", "_requests")

    def __init__(self, requests: Bucket | None, images: Bucket | None) -> None:
        self._requests = requests
        self._images = images

    def enter(self) -> None:
        """Count one request.

        Raises:
            Problem: 429, with the whole seconds after which one will be let in.
        """
        if self._requests is not None and (wait := self._requests.take(1)):
            raise _refused("rate_limit", "more requests than the limit allows", wait)

    def take(self, images: int, field: str = "seeds") -> None:
        """Count images. `field` is what asks for so many.

        Raises:
            Problem: 429, with the seconds until so many will be given; 413, so many never will.
        """
        if self._images is None:
            return
        wait = self._images.take(images)
        if wait == math.inf:
            REQUEST_CONTEXT.get().rejected = "image_limit"
            raise Problem(413, f"{images} images at once are more than the limit of {self._images.size:g} a minute", field)
        if wait:
            raise _refused("image_limit", f"more images than the limit of {self._images.size:g} a minute", wait)

    def give_back(self, images: int) -> None:
        """Images that were counted and not made."""
        if self._images is not None:
            self._images.give(images)


class Limits:
    """The clients seen of late."""

    def __init__(self, settings: Settings, clock: Clock = time.monotonic) -> None:
        self._rate = settings.requests_per_second
        self._burst = settings.request_burst or max(1, math.ceil(self._rate or 1))
        self._images = settings.images_per_minute
        self._clock = clock
        self._clients: OrderedDict[str, Client] = OrderedDict()

    def of(self, name: str) -> Client:
        """The client of a key's name, or of an address."""
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = Client(
                Bucket(self._rate, self._burst, self._clock) if self._rate else None,
                Bucket(self._images / 60, self._images, self._clock) if self._images else None,
            )
            if len(self._clients) > _MOST_CLIENTS:
                self._clients.popitem(last=False)
        else:
            self._clients.move_to_end(name)
        return client


def limits_of(settings: Settings) -> Limits | None:
    """The limits that the settings ask for, or None."""
    return Limits(settings) if settings.requests_per_second or settings.images_per_minute else None


def _refused(reason: str, detail: str, seconds: float) -> Problem:
    REQUEST_CONTEXT.get().rejected = reason
    return Problem(429, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})

"""Rate limits of each client: requests per second and images per minute, as token buckets on a monotonic clock.

Each worker process has its own counters: with N workers, a client has up to N times the limits.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from seedmint.service.problems import Problem
from seedmint.service.settings import Settings
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

_MAX_CLIENTS = 16384  # beyond it, the client with the oldest request is removed; it starts again with full buckets

Clock = Callable[[], float]


class Bucket:
    """A token bucket: holds at most `size` tokens, and gains `rate` tokens per second.

    Attributes:
        size: Maximum number of tokens.
    """

    __slots__ = ("_clock", "_rate", "_tokens", "_updated", "size")

    def __init__(self, rate: float, size: float, clock: Clock) -> None:
        """
        Args:
            rate: Tokens per second.
            size: Maximum number of tokens. The bucket starts full.
            clock: Returns monotonic seconds.
        """
        self.size = size
        self._rate = rate
        self._clock = clock
        self._tokens = size
        self._updated = clock()

    def consume(self, tokens: float) -> float:
        """Remove tokens, if the bucket holds enough.

        Args:
            tokens: Number of tokens.

        Returns:
            0 if the tokens were removed. Otherwise no token was removed, and the result is the time in seconds until the bucket
            holds enough: infinite if `tokens` is larger than `size`.
        """
        now = self._clock()
        self._tokens = min(self.size, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        if tokens <= self._tokens:
            self._tokens -= tokens
            return 0.0
        return math.inf if tokens > self.size else (tokens - self._tokens) / self._rate

    def refund(self, tokens: float) -> None:
        """Return tokens that were removed.

        Args:
            tokens: Number of tokens.
        """
        self._tokens = min(self.size, self._tokens + tokens)


class Client:
    """The limits of one API key or one address."""

    __slots__ = ("_images", "_requests")

    def __init__(self, requests: Bucket | None, images: Bucket | None) -> None:
        """
        Args:
            requests: Bucket of requests; None without a limit.
            images: Bucket of images; None without a limit.
        """
        self._requests = requests
        self._images = images

    def count_request(self) -> None:
        """Count one request.

        Raises:
            Problem: 429, with the time until the next request is accepted.
        """
        if self._requests is not None and (wait := self._requests.consume(1)):
            raise _limit_exceeded("rate_limit", "the limit of requests per second is exceeded", wait)

    def charge(self, images: int, field: str = "seeds") -> None:
        """Charge images to the client.

        Args:
            images: Number of images.
            field: The part of the request that determines the number.

        Raises:
            Problem: 429 with the time until the images are accepted; 413 if there are more images than the limit.
        """
        if self._images is None:
            return
        wait = self._images.consume(images)
        if wait == math.inf:
            _set_rejected("image_limit")
            detail = f"{images} images exceed the limit of {self._images.size:g} images per minute"
            raise Problem(413, detail, field, reason="image_limit")
        if wait:
            raise _limit_exceeded("image_limit", f"the limit of {self._images.size:g} images per minute is exceeded", wait)

    def refund(self, images: int) -> None:
        """Refund images that were charged and not generated.

        Args:
            images: Number of images.
        """
        if self._images is not None:
            self._images.refund(images)


class RateLimiter:
    """The limits of the most recent clients."""

    def __init__(self, settings: Settings, clock: Clock = time.monotonic) -> None:
        """
        Args:
            settings: The settings of the server.
            clock: Returns monotonic seconds.
        """
        self._rate = settings.requests_per_second
        self._burst = settings.request_burst or max(1, math.ceil(self._rate or 1))
        self._images = settings.images_per_minute
        self._clock = clock
        self._clients: OrderedDict[str, Client] = OrderedDict()

    def client(self, name: str) -> Client:
        """Return the limits of a client.

        Args:
            name: Name of its API key, or its address.
        """
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = Client(
                Bucket(self._rate, self._burst, self._clock) if self._rate else None,
                Bucket(self._images / 60, self._images, self._clock) if self._images else None,
            )
            if len(self._clients) > _MAX_CLIENTS:
                self._clients.popitem(last=False)
        else:
            self._clients.move_to_end(name)
        return client


def create_rate_limiter(settings: Settings) -> RateLimiter | None:
    """Return a rate limiter, or None if the settings contain no limit.

    Args:
        settings: The settings of the server.
    """
    return RateLimiter(settings) if settings.requests_per_second or settings.images_per_minute else None


def _limit_exceeded(reason: str, detail: str, seconds: float) -> Problem:
    _set_rejected(reason)
    return Problem(429, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))}, reason=reason)


def _set_rejected(reason: str) -> None:
    """Record the reason in the context of the request. Code that runs outside a request has no context."""
    context = REQUEST_CONTEXT.get(None)
    if context is not None:
        context.rejected = reason

"""Rate limits of each client: requests per second and images per minute, as token buckets on a monotonic clock.

The workers of `seedmint serve` share the buckets. Under another server, such as `bentoml serve`, each worker has its own.
"""

import math
import time
from collections import OrderedDict

from seedmint.service.problems import Problem
from seedmint.service.server.shared_buckets import CLIENTS, SharedBucket, SharedTable
from seedmint.service.server.token_bucket import Bucket, Clock
from seedmint.service.settings import Settings
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

_MAX_CLIENTS = CLIENTS  # beyond it, the client with the oldest request is removed; it starts again with full buckets


class Client:
    """The limits of one API key or one address."""

    __slots__ = ("_images", "_requests")

    def __init__(self, requests: Bucket | SharedBucket | None, images: Bucket | SharedBucket | None) -> None:
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
        self._table: SharedTable | None = None

    def share(self, table: SharedTable) -> None:
        """Count all further requests in a table that all workers share.

        Args:
            table: The table.
        """
        self._table = table
        self._clients.clear()

    def client(self, name: str) -> Client:
        """Return the limits of a client.

        Args:
            name: Name of its API key, or its address.
        """
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._create(name)
            if len(self._clients) > _MAX_CLIENTS:
                self._clients.popitem(last=False)
        else:
            self._clients.move_to_end(name)
        return client

    def _create(self, name: str) -> Client:
        rates = self._rate or 0.0, (self._images or 0) / 60
        sizes = self._burst, self._images or 0
        if self._table is None:
            requests, images = (Bucket(*pair, self._clock) if pair[0] else None for pair in zip(rates, sizes, strict=True))
            return Client(requests, images)
        key = self._table.hash_of(name)
        shared = [SharedBucket(self._table, key, i, rates[i], sizes) if rates[i] else None for i in range(2)]
        return Client(*shared)


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

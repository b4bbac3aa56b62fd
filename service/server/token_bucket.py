"""Token buckets: the arithmetic, and a bucket of one process."""

import math
from collections.abc import Callable

Clock = Callable[[], float]


def spend(held: float, elapsed: float, rate: float, size: float, tokens: float) -> tuple[float, float]:
    """Return the tokens that a bucket holds after a request, and the time until the request could be accepted.

    Args:
        held: Tokens that the bucket held at its last change.
        elapsed: Time since the last change, in seconds.
        rate: Tokens per second that the bucket gains.
        size: Maximum number of tokens.
        tokens: Number of tokens that the request removes.

    Returns:
        The tokens held, and 0 if the tokens of the request were removed. Otherwise no token was removed, and the second value
        is the time in seconds until the bucket holds enough: infinite if `tokens` is larger than `size`.
    """
    held = min(size, held + elapsed * rate)
    if tokens <= held:
        return held - tokens, 0.0
    return held, math.inf if tokens > size else (tokens - held) / rate


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
        self._tokens, wait = spend(self._tokens, now - self._updated, self._rate, self.size, tokens)
        self._updated = now
        return wait

    def refund(self, tokens: float) -> None:
        """Return tokens that were removed.

        Args:
            tokens: Number of tokens.
        """
        self._tokens = min(self.size, self._tokens + tokens)

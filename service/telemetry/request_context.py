"""The visit: what is known of the request under way, from the door to its line in the log."""

import random
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Protocol

_VERSION_4 = 4 << 76 | 2 << 62  # version and variant of a random UUID; `uuid.uuid4` takes ten times as long
_FREE = ~(15 << 76 | 3 << 62)
REQUEST_ID = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}")


class Allowance(Protocol):
    """What a client may still have."""

    def take(self, images: int, field: str) -> None:
        """
        Raises:
            Problem: 429 or 413, it is not so many.
        """

    def give_back(self, images: int) -> None:
        """Images that were taken and not made."""


class RequestContext:
    """One request.

    Attributes:
        request_id: the client's own X-Request-Id if it is sane, else a new UUID of 32 hexadecimal digits.
        key: name of the API key it came with.
        images: images sent so far.
        rejected: why it was turned away, where its status alone does not say.
        allowance: what limits its images, if anything does.
        gone: says whether its client has left; None where that cannot be known.
    """

    __slots__ = ("_host", "allowance", "gone", "images", "key", "rejected", "request_id")

    def __init__(self, request_id: bytes, host: str = "", gone: Callable[[], bool] | None = None) -> None:
        self.request_id = request_id
        self._host = host
        self.gone = gone
        self.key: str | None = None
        self.images = 0
        self.rejected: str | None = None
        self.allowance: Allowance | None = None

    @property
    def client(self) -> str:
        """Who asks, as one name: of the key, or else the address."""
        return self.key or address_of(self._host)


# Each request runs in a task of its own, so that this is the visit of whoever asks. Nothing in a generator's thread.
REQUEST_CONTEXT: ContextVar[RequestContext] = ContextVar("visit")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The id to know a request by: X-Request-Id where it is at most 128 of letters, digits and `._~+/=:@-`, else a new one."""
    for name, value in headers:
        if name == b"x-request-id":
            if REQUEST_ID.fullmatch(value):
                return value
            break
    return b"%032x" % (random.getrandbits(128) & _FREE | _VERSION_4)


@lru_cache(4096)
def address_of(host: str) -> str:
    """One name for a client by its address. An IPv6 client may use any address of its /64 network."""
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)

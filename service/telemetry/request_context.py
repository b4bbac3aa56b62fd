"""Per-request context, held in a `ContextVar`."""

import random
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Protocol

# Version and variant bits of a random UUID. `uuid.uuid4` takes ten times as long.
_UUID4_BITS = 4 << 76 | 2 << 62
_RANDOM_BITS = ~(15 << 76 | 3 << 62)
REQUEST_ID = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}")


GeneratorId = tuple[str, str]
"""Name and digest of a generator."""


class Quota(Protocol):
    """The images that a client may still request."""

    def charge(self, images: int, field: str) -> None:
        """Charge images to the client before they are generated.

        Args:
            images: The number of images.
            field: The request parameter that sets the number of images.

        Raises:
            Problem: 429 if the quota is exhausted, 413 if the number of images always exceeds it.
        """

    def refund(self, images: int) -> None:
        """Refund images that were charged and not generated.

        Args:
            images: The number of images.
        """


class RequestContext:
    """The state of one request.

    Attributes:
        request_id: The client's X-Request-Id if it is valid, otherwise a new UUID of 32 hexadecimal digits.
        key: The name of the API key, or None.
        images: The number of images sent so far.
        rejected: The reason for a rejection, if the status alone does not determine it.
        quota: The image quota of the client, or None without a limit.
        generator: The generator of the request; None before it is found, and for requests without a generator.
        is_disconnected: Returns whether the client has disconnected. None if the server cannot detect it.
        prefix: Path prefix of the URLs that the client sees.
    """

    __slots__ = ("_host", "generator", "images", "is_disconnected", "key", "prefix", "quota", "rejected", "request_id")

    def __init__(self, request_id: bytes, host: str = "", is_disconnected: Callable[[], bool] | None = None) -> None:
        """
        Args:
            request_id: Id of the request.
            host: Address of the client; empty if it is unknown.
            is_disconnected: Returns whether the client has disconnected; None if the server cannot detect it.
        """
        self.request_id = request_id
        self._host = host
        self.is_disconnected = is_disconnected
        self.key: str | None = None
        self.images = 0
        self.rejected: str | None = None
        self.quota: Quota | None = None
        self.prefix = ""
        self.generator: GeneratorId | None = None

    @property
    def client(self) -> str:
        """The identity of the client: the name of its API key, or otherwise its address."""
        return self.key or client_address(self._host)

    @property
    def address(self) -> str:
        """The address of the client; "unknown" if it is not an IP address."""
        return ip_text(self._host)


# Each request runs in its own asyncio task and has its own context. Inference threads have none.
REQUEST_CONTEXT: ContextVar[RequestContext] = ContextVar("request_context")


def current_prefix() -> str:
    """Return the path prefix of the URLs that the client of the current request sees; empty without a prefix."""
    context = REQUEST_CONTEXT.get(None)
    return "" if context is None else context.prefix


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Choose the id of a request.

    Args:
        headers: The request headers, with names in lower case.

    Returns:
        X-Request-Id if it consists of 1 to 128 letters, digits and `._~+/=:@-`, otherwise a new id.
    """
    for name, value in headers:
        if name == b"x-request-id":
            if REQUEST_ID.fullmatch(value):
                return value
            break
    return b"%032x" % (random.getrandbits(128) & _RANDOM_BITS | _UUID4_BITS)


@lru_cache(4096)
def client_address(host: str) -> str:
    """Normalize the address of a client.

    Args:
        host: An IP address.

    Returns:
        The IPv4 address, or the /64 network of an IPv6 address, because a client may use all addresses of that network.
        "unknown" if `host` is not an IP address.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)


@lru_cache(4096)
def ip_text(host: str) -> str:
    """Return an IP address in its usual form; "unknown" if the text is not an IP address.

    Args:
        host: Address of a client, which may come from a header.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)

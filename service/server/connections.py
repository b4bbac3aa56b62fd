"""Open connections: closes those without a request, and limits how many bytes of a response the kernel buffers.

uvicorn itself waits without limit for the rest of a request head.
"""

import asyncio
import contextlib
import math
import resource
import socket
from typing import Protocol
from weakref import WeakKeyDictionary

from seedmint.service.telemetry import metrics

_CHECK_SECONDS = 1.0
_MAX_DESCRIPTORS = 1 << 16  # if the system has no limit
_UNSENT_BYTES = 64 << 10


class Connection(Protocol):
    """The attributes of a connection that `Connections` needs."""

    @property
    def transport(self) -> asyncio.Transport:
        """Transport of the connection."""

    @property
    def request(self) -> object:
        """Object that identifies the latest request; None before the first request."""

    @property
    def has_request(self) -> bool:
        """Whether a request is in flight."""

    @property
    def is_kept_alive(self) -> bool:
        """Whether the connection waits for its next request. uvicorn closes it after the keep-alive timeout."""


def raise_descriptor_limit() -> int:
    """Raise the limit of open files and connections of this process to the maximum, and return the limit."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        limit = _MAX_DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return limit


def limit_unsent_bytes(transport: asyncio.Transport) -> None:
    """Limit how many bytes of a response the kernel buffers for a client that does not read.

    Without a limit, the kernel buffers megabytes. A full buffer accepts more bytes only after the client has read a third of
    it, and the client would have to read these megabytes within the timeout. Bytes in transit to the client are not limited.

    Args:
        transport: Transport of the connection.
    """
    if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:  # not on every system
        with contextlib.suppress(OSError):  # a Unix socket has no such option, and buffers little
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, _UNSENT_BYTES)


class Connections:
    """The open connections of this process. Closes connections that have no request for too long, and closes idle connections
    earlier when there are too many connections.

    Attributes:
        open: The open connections.
    """

    def __init__(self, timeout_seconds: float) -> None:
        """
        Args:
            timeout_seconds: Maximum time without a request.
        """
        self.open: set[Connection] = set()
        # The timeout is counted in checks. After a machine was suspended, a clock would expire before the process reads the
        # data of its clients.
        self._max_checks = 1 + math.ceil(timeout_seconds / _CHECK_SECONDS)
        # The latest request of each idle connection, and the number of checks that found it idle.
        self._idle: WeakKeyDictionary[Connection, tuple[object, int]] = WeakKeyDictionary()

    async def close_idle(self, max_descriptors: int) -> None:
        """Check all connections once a second, until the task is cancelled.

        Args:
            max_descriptors: Limit of open files and connections of this process.
        """
        while True:
            self.check(max_descriptors // 2)
            await asyncio.sleep(_CHECK_SECONDS)

    def check(self, max_connections: int) -> None:
        """Close each connection that had no request in too many consecutive checks.

        Args:
            max_connections: If there are more open connections, a connection is closed after two consecutive checks without a
                request.
        """
        max_checks = 1 if len(self.open) > max_connections else self._max_checks
        for connection in list(self.open):
            is_kept_alive = connection.is_kept_alive
            is_closing = connection.transport.is_closing()  # the client has not yet read the rest of a response
            if connection.has_request or (is_kept_alive and max_checks > 1 and not is_closing):
                self._idle.pop(connection, None)
                continue
            request, checks = self._idle.get(connection, (connection.request, 0))
            checks = checks + 1 if request is connection.request else 1
            self._idle[connection] = (connection.request, checks)
            if checks > max_checks:
                if not (is_kept_alive or is_closing):
                    metrics.count_rejected("slow_head")
                connection.transport.abort()

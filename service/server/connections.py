"""Connections that ask for nothing: uvicorn waits for the rest of a request's head without end, and here that ends.

What is relied on inside uvicorn: its server handles SIGTERM itself, and knows its connections, each with the cycle of request
and answer that it is in or was in last.
"""

import asyncio
import math
import resource
import signal
import socket
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import uvicorn
from starlette.types import Message, Receive, Send

from seedmint.service.telemetry import metrics

_LOOK_SECONDS = 1.0
_MANY_DESCRIPTORS = 1 << 16
_UNSENT = 64 << 10  # bytes


def current_server() -> uvicorn.Server:
    """The server of this process. To be asked for before its signal handlers are replaced.

    Raises:
        RuntimeError: there is none that is known.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not isinstance(server, uvicorn.Server):
        raise RuntimeError(f"uvicorn {uvicorn.__version__} is not as service/server/connections.py relies on it")
    return server


def has_left(receive: Receive) -> Callable[[], bool] | None:
    """Says whether the client of a request has left, without waiting to be told; None where the server is not uvicorn."""
    cycle = getattr(receive, "__self__", None)
    # Of several requests sent at once, uvicorn tells only the last that the connection is lost.
    return None if cycle is None else lambda: cycle.disconnected or cycle.transport.is_closing()


def raise_descriptors() -> int:
    """Let this process have as many files and connections as it may; gives their number."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        most = _MANY_DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def bound_unsent(transport: asyncio.Transport) -> None:
    """Let the kernel take little of an answer that its client is not ready for.

    By itself it takes megabytes, and once these are full, it takes more only when a third of them is gone: a client would have
    to be as quick as that within the deadline. What is on its way to the client is not bounded, so that a long way is filled.
    """
    if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:  # not on every system
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, _UNSENT)


def takes_more(send: Send) -> bool:
    """Whether uvicorn sends without waiting for the client to take what was sent before. False where it is not uvicorn."""
    flow = getattr(getattr(send, "__self__", None), "flow", None)
    return flow is not None and not flow.write_paused


async def send_together(send: Send, head: Message, body: Message) -> None:
    """Send the head and the rest of an answer in one packet, where uvicorn would write two. Only if `takes_more`."""
    cycle: Any = send.__self__  # type: ignore[attr-defined]
    transport = cycle.transport
    cork = cycle.transport = _BufferingTransport(transport)
    try:
        await send(head)
        await send(body)
    finally:
        cycle.transport = transport
        if cork.parts and not transport.is_closing():  # the client may have gone
            transport.write(b"".join(cork.parts))
        if cork.closed:
            transport.close()


class _BufferingTransport:
    """Stands in for a transport while one answer is written."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.parts: list[bytes] = []
        self.closed = False
        self.write = self.parts.append
        self.is_closing = transport.is_closing  # a generator's thread may ask meanwhile, by `has_left`

    def close(self) -> None:
        self.closed = True


class Connections:
    """Closes each connection of a server that has been without a request for too long, or when there are too many."""

    def __init__(self, server: uvicorn.Server, seconds: float, descriptors: int) -> None:
        """
        Args:
            seconds: longest time without a request.
            descriptors: files and connections that this process may have.
        """
        self._server = server
        self._crowded = descriptors // 2
        # Counted in looks and not by a clock: on a machine that stands still for a while, what has come is read in between.
        self._most = 1 + math.ceil(seconds / _LOOK_SECONDS)
        # The last cycle there was, and how often it was seen to be over.
        self._idle: WeakKeyDictionary[Any, tuple[object, int]] = WeakKeyDictionary()

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """Close those that have had no request since too many looks; while they are too many, since the last look."""
        most = 1 if len(self._server.server_state.connections) > self._crowded else self._most
        for connection in list(self._server.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            asked = cycle is not None and not cycle.response_complete
            kept = getattr(connection, "timeout_keep_alive_task", None) is not None  # uvicorn ends it
            # What is closing still waits for its client to take the rest of an answer.
            if asked or (kept and most > 1 and not connection.transport.is_closing()):
                self._idle.pop(connection, None)
                continue
            before, looks = self._idle.get(connection, (cycle, 0))
            looks = looks + 1 if before is cycle else 1
            self._idle[connection] = (cycle, looks)
            if looks > most:
                if not (kept or connection.transport.is_closing()):
                    metrics.count_rejected("slow_head")
                connection.transport.abort()

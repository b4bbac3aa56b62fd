"""Connections that ask for nothing: uvicorn waits for the rest of a request's head without end, and here that ends.

What is relied on inside uvicorn: its server handles SIGTERM itself, and knows its connections, each with the cycle of request
and answer that it is in or was in last.
"""

import asyncio
import math
import signal
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import uvicorn
from starlette.types import Message, Receive, Send

from service import metrics

_LOOK_SECONDS = 1.0


def current_server() -> uvicorn.Server:
    """The server of this process. To be asked for before its signal handlers are replaced.

    Raises:
        RuntimeError: there is none that is known.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not isinstance(server, uvicorn.Server):
        raise RuntimeError(f"uvicorn {uvicorn.__version__} is not as service/connections.py relies on it")
    return server


def has_left(receive: Receive) -> Callable[[], bool] | None:
    """Says whether the client of a request has left, without waiting to be told; None where the server is not uvicorn."""
    cycle = getattr(receive, "__self__", None)
    return None if cycle is None else lambda: cycle.disconnected


def takes_more(send: Send) -> bool:
    """Whether uvicorn sends without waiting for the client to take what was sent before. False where it is not uvicorn."""
    flow = getattr(getattr(send, "__self__", None), "flow", None)
    return flow is not None and not flow.write_paused


async def send_together(send: Send, head: Message, body: Message) -> None:
    """Send the head and the rest of an answer in one packet, where uvicorn would write two. Only if `takes_more`."""
    cycle: Any = send.__self__  # type: ignore[attr-defined]
    transport = cycle.transport
    cork = cycle.transport = _Cork()
    try:
        await send(head)
        await send(body)
    finally:
        cycle.transport = transport
        if cork.parts and not transport.is_closing():  # the client may have gone
            transport.write(b"".join(cork.parts))
        if cork.closed:
            transport.close()


class _Cork:
    """Stands in for a transport while one answer is written."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.closed = False
        self.write = self.parts.append

    def close(self) -> None:
        self.closed = True


class Connections:
    """Closes each connection of a server that has been without a request for too long."""

    def __init__(self, server: uvicorn.Server, seconds: float) -> None:
        self._server = server
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
        """Close those that have had no request since too many looks."""
        for connection in list(self._server.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            asked = cycle is not None and not cycle.response_complete
            if asked or getattr(connection, "timeout_keep_alive_task", None) is not None:  # uvicorn ends what is kept alive
                self._idle.pop(connection, None)
                continue
            before, looks = self._idle.get(connection, (cycle, 0))
            looks = looks + 1 if before is cycle else 1
            self._idle[connection] = (cycle, looks)
            if looks > self._most:
                metrics.count_rejected("slow_head")
                connection.transport.close()

"""Graceful shutdown: after SIGTERM or SIGINT new requests get 503, requests in flight are finished, then the server stops.

uvicorn itself closes the socket first. New clients would then wait forever, because the supervisor keeps the same socket open.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)
DRAIN_SECONDS = 20  # maximum for the requests in flight; less than the 30 seconds of Kubernetes

_POLL_SECONDS = 0.02


class GracefulShutdown:
    """Counts the requests in flight of this process, and delays the signal to the server until they are finished.

    Attributes:
        draining: Whether the signal has arrived.
        in_flight: Number of accepted requests without a complete response.
    """

    def __init__(self) -> None:
        self.draining = False
        self.in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def install(self) -> bool:
        """Replace the signal handlers of the server by handlers that first drain. Call this on the event loop.

        Returns:
            Whether a server handles SIGTERM in this thread. False in a test client, for example.
        """
        if threading.current_thread() is not threading.main_thread():
            return False
        loop = asyncio.get_running_loop()
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        if not callable(handlers[signal.SIGTERM]):
            return False
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, self._delayed(handler, loop))
        return True

    def _delayed(self, handler: Callable[[int, FrameType | None], Any], loop: asyncio.AbstractEventLoop) -> Any:
        def handle(number: int, frame: FrameType | None) -> None:
            # Process managers send the same signal to the supervisor, which forwards it, and to each worker. The supervisor
            # kills the workers to stop them at once.
            if self.draining:
                return
            self.draining = True
            loop.call_soon_threadsafe(start, number)

        def start(number: int) -> None:
            self._tasks.add(asyncio.create_task(drain(number)))

        async def drain(number: int) -> None:
            deadline = loop.time() + DRAIN_SECONDS
            while self.in_flight and loop.time() < deadline:
                await asyncio.sleep(_POLL_SECONDS)
            handler(number, None)

        return handle

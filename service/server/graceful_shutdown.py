"""Graceful shutdown: after the signal new requests get 503, requests in flight are finished, then the server ends.

uvicorn by itself would close the port first; but the supervisor holds it open too, and new clients would wait for nothing.
"""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)
DRAIN_SECONDS = 20  # for what is under way; less than the 30 that Kubernetes gives

_POLL_SECONDS = 0.02


class GracefulShutdown:
    """Counts what is under way in this process, and holds the signal back until it is done.

    Attributes:
        begun: the signal has come.
        under_way: requests let in and not yet answered.
    """

    def __init__(self) -> None:
        self.begun = False
        self.under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self) -> None:
        """Stand before the server's own signal handlers, which must be there already. On the event loop, in the main thread."""
        loop = asyncio.get_running_loop()
        for one in SIGNALS:
            handler = signal.getsignal(one)
            if callable(handler):
                signal.signal(one, self._before(handler, loop))

    def _before(self, handler: Callable[[int, FrameType | None], Any], loop: asyncio.AbstractEventLoop) -> Any:
        def handle(number: int, frame: FrameType | None) -> None:
            if self.begun:  # who asks twice does not want to wait
                handler(number, frame)
                return
            self.begun = True
            loop.call_soon_threadsafe(start, number)

        def start(number: int) -> None:
            self._tasks.add(asyncio.create_task(end(number)))

        async def end(number: int) -> None:
            until = loop.time() + DRAIN_SECONDS
            while self.under_way and loop.time() < until:
                await asyncio.sleep(_POLL_SECONDS)
            handler(number, None)

        return handle

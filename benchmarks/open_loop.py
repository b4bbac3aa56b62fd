"""Open-loop load: requests are due at fixed times, even if earlier requests are still in flight.

The latency of a request begins when the request is due. It includes the time for which slow responses delayed the request:
there is no coordinated omission. wrk2 measures latencies in the same way. Each request uses a connection without a request in
flight; if there is none, the request waits for one.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import httptools
import uvloop

_CONNECTIONS = 64
_TIMEOUT_SECONDS = 30.0  # for all responses, after the last request is due


class _Connection(asyncio.Protocol):
    """A connection with at most one request in flight."""

    def __init__(self, on_idle: Callable[["_Connection"], None], on_response: Callable[[float, bool], None]) -> None:
        self._on_idle = on_idle
        self._on_response = on_response
        self._due = 0.0
        self._is_busy = False
        self._must_close = False
        self.transport: Any

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def send(self, request: bytes, due: float) -> None:
        self._due, self._is_busy = due, True
        self._parser = httptools.HttpResponseParser(self)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._is_busy = False
        self._on_response(self._due, self._parser.get_status_code() == 200)
        if self._parser.should_keep_alive():
            self._on_idle(self)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_busy:
            self._is_busy = False
            self._on_response(self._due, False)


class _Load:
    """One run of the load."""

    def __init__(self, port: int, request: Callable[[int], bytes], rate: float, seconds: float) -> None:
        self._port = port
        self._request = request
        self._rate = rate
        self._total = int(rate * seconds)
        self._idle: list[_Connection] = []
        self._num_open = 0
        self._waiting: deque[int] = deque()  # numbers of requests that wait for a connection
        self._done = asyncio.Event()
        self._num_done = 0
        self.latencies: list[float] = []

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*(self._connect() for _ in range(_CONNECTIONS)))
        self._began = time.perf_counter()
        for number in range(self._total):
            while (early := self._due(number) - time.perf_counter()) > 0:  # uvloop rounds to milliseconds, and may wake early
                await asyncio.sleep(early)
            self._waiting.append(number)
            self._send_waiting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await self._done.wait()
        for connection in self._idle:
            connection.transport.close()

    def _due(self, number: int) -> float:
        return self._began + number / self._rate

    async def _connect(self) -> None:
        self._num_open += 1
        with contextlib.suppress(OSError):
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self._add_idle, self._add_response), "127.0.0.1", self._port
            )
            self._add_idle(connection)

    def _add_idle(self, connection: _Connection) -> None:
        self._idle.append(connection)
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._idle:
            connection = self._idle.pop()
            if connection.transport.is_closing():
                asyncio.ensure_future(self._connect())  # noqa: RUF006
                continue
            number = self._waiting.popleft()
            connection.send(self._request(number), self._due(number))

    def _add_response(self, due: float, succeeded: bool) -> None:
        if succeeded:
            self.latencies.append(time.perf_counter() - due)
        self._num_done += 1
        if self._num_done == self._total:
            self._done.set()


def open_loop(port: int, request: Callable[[int], bytes], rate: float, seconds: float) -> tuple[list[float], int]:
    """Send requests at a constant rate on 64 connections.

    Args:
        port: Port of the server on localhost.
        request: Returns request number i as bytes.
        rate: Requests per second.
        seconds: Duration of the load in seconds.

    Returns:
        The latency of each successful request in seconds, from the time when it was due, and the number of failed requests.
    """

    async def run() -> tuple[list[float], int]:
        load = _Load(port, request, rate, seconds)
        await load.run()
        return load.latencies, int(rate * seconds) - len(load.latencies)

    return uvloop.run(run())

"""Load generators. An open loop starts requests at a constant rate; a closed loop starts a request after each response."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
import numpy as np

BROKEN = 0  # instead of a status: the connection failed


@dataclass(frozen=True)
class Answer:
    """The result of one request.

    Attributes:
        due: Scheduled start, in seconds of the monotonic clock.
        ended: End, in seconds of the monotonic clock.
        status: HTTP status, or `BROKEN`.
    """

    due: float
    ended: float
    status: int

    @property
    def seconds(self) -> float:
        return self.ended - self.due


@dataclass
class Load:
    """The results of a load, which grow until its end.

    Attributes:
        answers: Results of the finished requests.
        end: Set to stop the load.
    """

    answers: list[Answer] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)

    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def quantile(self, share: float, status: int = 200) -> float:
        """Return a quantile of the latency, in seconds, of the requests with this status."""
        return float(np.quantile([answer.seconds for answer in self.answers if answer.status == status], share))


@contextmanager
def open_loop(url: Callable[[int], str], rate: float, keep_alive: bool = False) -> Iterator[Load]:
    """Send requests at a constant rate until the block ends; then wait for all responses.

    Latencies start at the scheduled time, so that they include delays of the load generator.

    Args:
        url: Returns the URL of request number i.
        rate: Requests per second.
        keep_alive: Reuse connections. By default, each request has a new connection.
    """

    async def run(load: Load) -> None:
        async with _session(keep_alive) as session:
            began = time.monotonic()
            pending: set[asyncio.Task[None]] = set()
            number = 0
            while not load.end.is_set():
                due = began + number / rate
                if (early := due - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                task = asyncio.create_task(_send(session, url(number), due, load))
                pending.add(task)
                task.add_done_callback(pending.discard)
                number += 1
                if number % 16 == 0:
                    await asyncio.sleep(0)
            await asyncio.gather(*pending)

    with _running(run) as load:
        yield load


@contextmanager
def closed_loop(url: Callable[[int], str], connections: int) -> Iterator[Load]:
    """Run clients that send the next request after each response, until the block ends.

    Args:
        url: Returns the URL of request number i.
        connections: Number of clients.
    """

    async def run(load: Load) -> None:
        async def client(first: int) -> None:
            number = first
            while not load.end.is_set():
                await _send(session, url(number), time.monotonic(), load)
                number += connections

        async with _session() as session:
            await asyncio.gather(*(client(first) for first in range(connections)))

    with _running(run) as load:
        yield load


def capacity(url: Callable[[int], str], connections: int, seconds: float = 2.0, may_reject: bool = False) -> float:
    """Measure the images per second in a closed loop. All responses must have status 200, or 429 where that is allowed.

    Responses arrive in batches. Therefore the time is measured from the end of the first batch to the end of the last batch.

    Args:
        url: Returns the URL of request number i.
        connections: Number of clients.
        seconds: Duration of the load.
        may_reject: Whether the first requests, which arrive together, may be rejected.
    """
    with closed_loop(url, connections) as load:
        time.sleep(seconds)
    assert set(load.statuses()) <= ({200, 429} if may_reject else {200}), load.statuses()
    ended = sorted(answer.ended for answer in load.answers if answer.status == 200)
    return (len(ended) - connections) / (ended[-1] - ended[connections - 1])


@contextmanager
def _running(run: Callable[[Load], object]) -> Iterator[Load]:
    load = Load()
    thread = threading.Thread(target=lambda: asyncio.run(run(load)))  # type: ignore[arg-type]
    thread.start()
    try:
        yield load
    finally:
        load.end.set()
        thread.join()


def _session(keep_alive: bool = False) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, force_close=not keep_alive)
    session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
    session._retry_connection = False  # a retry would hide a lost request
    return session


async def _send(session: aiohttp.ClientSession, url: str, due: float, load: Load) -> None:
    try:
        async with session.get(url) as answer:
            await answer.read()
            status = answer.status
    except (aiohttp.ClientError, OSError, TimeoutError):
        status = BROKEN
    load.answers.append(Answer(due, time.monotonic(), status))

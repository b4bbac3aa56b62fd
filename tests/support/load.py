"""Load from outside: requests that begin by the clock, answered or not (an open loop), or as answers come (a closed one)."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
import numpy as np

BROKEN = 0  # in place of a status: the connection was refused or broke


@dataclass(frozen=True)
class Answer:
    """One request: when it was due, when it ended, on the monotonic clock, and its status."""

    due: float
    ended: float
    status: int

    @property
    def seconds(self) -> float:
        return self.ended - self.due


@dataclass
class Load:
    """Requests under way and done. More may come until it ends."""

    answers: list[Answer] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)

    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def quantile(self, share: float, status: int = 200) -> float:
        """Seconds within which this share of the answers of one status came."""
        return float(np.quantile([answer.seconds for answer in self.answers if answer.status == status], share))


@contextmanager
def open_loop(address: Callable[[int], str], rate: float, keep_alive: bool = False) -> Iterator[Load]:
    """So many requests a second, until the block ends; then all answers are waited for.

    Each is on a connection of its own, or, with `keep_alive`, on any that is free. One that cannot be sent in time counts from
    when it was due, so that a load that stumbles hides nothing.
    """

    async def run(load: Load) -> None:
        async with _session(keep_alive) as session:
            began = time.monotonic()
            asked: set[asyncio.Task[None]] = set()
            number = 0
            while not load.end.is_set():
                due = began + number / rate
                if (early := due - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                task = asyncio.create_task(_ask(session, address(number), due, load))
                asked.add(task)
                task.add_done_callback(asked.discard)
                number += 1
                if number % 16 == 0:
                    await asyncio.sleep(0)
            await asyncio.gather(*asked)

    with _running(run) as load:
        yield load


@contextmanager
def closed_loop(address: Callable[[int], str], connections: int) -> Iterator[Load]:
    """So many clients that each ask again as soon as they are answered, until the block ends."""

    async def run(load: Load) -> None:
        async def client(first: int) -> None:
            number = first
            while not load.end.is_set():
                await _ask(session, address(number), time.monotonic(), load)
                number += connections

        async with _session() as session:
            await asyncio.gather(*(client(first) for first in range(connections)))

    with _running(run) as load:
        yield load


def capacity(address: Callable[[int], str], connections: int, seconds: float = 2.0) -> float:
    """Images a second, of as many clients, each answered 200. They come run by run: from the end of one to that of the last."""
    with closed_loop(address, connections) as load:
        time.sleep(seconds)
    assert set(load.statuses()) == {200}, load.statuses()
    ended = sorted(answer.ended for answer in load.answers)
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
    session._retry_connection = False  # it would hide what is lost
    return session


async def _ask(session: aiohttp.ClientSession, address: str, due: float, load: Load) -> None:
    try:
        async with session.get(address) as answer:
            await answer.read()
            status = answer.status
    except (aiohttp.ClientError, OSError, TimeoutError):
        status = BROKEN
    load.answers.append(Answer(due, time.monotonic(), status))

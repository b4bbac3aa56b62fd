"""The batcher: images asked for at the same time are made in one run. One for each generator and process.

It waits for nobody: when the generator is free it takes what is queued, up to the largest batch. Single images and pieces of
bulk requests queue apart and take turns, so that neither waits behind a row of the other.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from service import metrics
from service.archives import Labels
from service.generator import Generator, Outputs, SeedArray
from service.making import Finish, Gone, Item, Latents, make
from service.problems import Problem

_SWEEP_SECONDS = 0.25  # between two looks for clients that have left and for what has waited too long
_SMOOTHING = 0.2  # weight of the newest in the estimates of seconds a run and seconds a bulk request

Result = asyncio.Future[Any]


class Batcher:
    """Runs one generator for many requests. Lives on one event loop; runs and `finish` calls happen in a thread of its own."""

    def __init__(
        self, generator: Generator, max_queue: int, max_wait: float = math.inf, deadline_seconds: float = math.inf
    ) -> None:
        """
        Args:
            max_queue: most single images waiting, and, counted apart, most images that bulk requests hold places for.
            max_wait: most seconds that a single image may be expected to wait, once as many wait as fill a run.
            deadline_seconds: longest that a single image is waited for.
        """
        self.generator = generator
        self._deadline = deadline_seconds
        self._max_queue = max_queue
        self._max_wait = max_wait
        self._lanes: tuple[deque[Item], deque[Item]] = (deque(), deque())  # single images, pieces of bulk requests
        self._turn = 0
        self._waiting = 0
        self._bulk = 0  # requests under way
        self._bulk_since: list[float] = []  # when each began
        self._seconds_a_run = 0.001
        self._seconds_a_bulk = 1.0
        # Its own, so that a slow generator holds up neither the others nor what else needs a thread. Ends with the batcher.
        self._thread = ThreadPoolExecutor(1, f"seedmint-{generator.name}")
        self._pump: asyncio.Task[None] | None = None
        self._batch: list[Item] = []  # being made
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False
        self._metrics = metrics.OfGenerator(generator.name)

    @property
    def waiting(self) -> int:
        """Single images that wait."""
        return self._waiting

    @property
    def bulk_requests(self) -> int:
        """Bulk requests under way."""
        return self._bulk

    def single(self, seed: int, label: int | None, truncation: float, finish: Finish, gone: Gone = None) -> Result:
        """Ask for one image. Cancelling the future withdraws it; after the deadline it fails with a Problem, 504.

        Args:
            label: None for the label that the seed names, if the generator is conditional.
            finish: called in a thread with one image or sample and its label, as arrays of one; its result becomes the
                future's.
            gone: says whether the client has left. Its image is not made then, and its future fails with ClientDisconnect.

        Raises:
            Problem: 429, too many are waiting; 503, closed.
        """
        self._check_open()
        wait = self._expected_wait()
        if self._waiting >= self._max_queue or (self._waiting >= self.generator.max_batch and wait > self._max_wait):
            raise _overloaded(f"{self._waiting} images are waiting already", wait)
        labels = None if label is None else np.array([label], np.int64)
        return self._put(0, np.array([seed], np.int64), labels, truncation, finish, gone)

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Hold a bulk request's place in the queue from its first piece to its last.

        Raises:
            Problem: 429, too many bulk requests are under way; 503, closed.
        """
        self._check_open()
        if (self._bulk + 1) * self.generator.max_batch > self._max_queue:
            # At least as long as the oldest has taken: one that outlasts the estimate shows it to be wrong.
            oldest = time.perf_counter() - min(self._bulk_since, default=0.0)
            raise _overloaded(f"{self._bulk} bulk requests are under way", max(oldest, self._seconds_a_bulk) / self._bulk)
        self._bulk += 1
        started = time.perf_counter()
        self._bulk_since.append(started)
        try:
            yield
        finally:
            self._bulk -= 1
            self._bulk_since.remove(started)
            self._seconds_a_bulk += _SMOOTHING * (time.perf_counter() - started - self._seconds_a_bulk)

    def piece(
        self, seeds: SeedArray, labels: Labels | None, truncation: float, z: Latents | None = None
    ) -> "asyncio.Future[Outputs]":
        """Ask for a piece of a bulk request, inside `bulk()`: at most `max_batch` seeds, and two pieces at a time.

        Args:
            z: float32[n, z_dim], what to make images of in place of the seeds' own noise, before truncation.

        Raises:
            Problem: 503, closed.
        """
        self._check_open()
        return self._put(1, seeds, labels, truncation, z=z)

    async def close(self) -> None:
        """Refuse new work, withdraw what is queued, and wait for the run under way."""
        self._closed = True
        for lane in self._lanes:
            for item in lane:
                item.future.cancel()
        if self._pump is not None:
            await self._pump
        self._thread.shutdown(wait=False)

    def _expected_wait(self) -> float:
        """Seconds that the next single image will wait: for runs like the last ones, every other one of bulk requests."""
        runs = 1 + self._waiting // self.generator.max_batch
        return runs * self._seconds_a_run * (2 if self._bulk else 1)

    def _check_open(self) -> None:
        if self._closed:
            raise Problem(503, "the server is stopping", headers={"Retry-After": "5"})

    def _put(
        self,
        lane: int,
        seeds: SeedArray,
        labels: Labels | None,
        truncation: float,
        finish: Finish = None,
        gone: Gone = None,
        z: Latents | None = None,
    ) -> Result:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        item = Item(seeds, labels, truncation, finish, gone, z, future)
        if lane == 0:
            self._waiting += 1
            future.add_done_callback(lambda _: self._leave(item))
        self._lanes[lane].append(item)
        if self._pump is None:
            self._pump = asyncio.create_task(self._run())
        if self._sweeping is None:
            self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep)
        return future

    def _sweep(self) -> None:
        """End the waiting of clients that have left, and of those whose deadline has come, for as long as there is work."""
        late = time.perf_counter() - self._deadline
        for item in (*self._batch, *self._lanes[0]):
            if item.wanted and item.since < late and item.finish is not None:
                item.future.set_exception(Problem(504, f"it was not ready within {self._deadline:g} seconds"))
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep) if self._pump else None

    def _leave(self, item: Item) -> None:
        """A single image no longer waits: it is being made, or its client has gone."""
        if item.queued:
            item.queued = False
            self._waiting -= 1

    async def _run(self) -> None:
        try:
            while batch := self._take():
                self._batch = batch
                started = time.perf_counter()
                results = await asyncio.get_running_loop().run_in_executor(self._thread, self._work, batch)
                self._seconds_a_run += _SMOOTHING * (time.perf_counter() - started - self._seconds_a_run)
                for item, result in zip(batch, results, strict=True):
                    if item.future.done():
                        continue
                    if isinstance(result, Exception):
                        item.future.set_exception(result)
                    else:
                        item.future.set_result(result)
        finally:
            self._pump = None
            self._batch = []

    def _take(self) -> list[Item]:
        """The next batch: from the lane whose turn it is, then from the other, as far as there is room."""
        batch: list[Item] = []
        room = self.generator.max_batch
        for lane in (self._lanes[self._turn], self._lanes[1 - self._turn]):
            while lane and (not lane[0].wanted or len(lane[0].seeds) <= room):
                item = lane.popleft()
                if item.future.done():
                    self._metrics.cancelled.inc(len(item.seeds))
                else:
                    batch.append(item)
                    room -= len(item.seeds)
                    if item.queued and lane is self._lanes[0]:
                        self._leave(item)
        self._turn = 1 - self._turn
        return batch

    def _work(self, batch: list[Item]) -> list[Any]:
        """In the thread: a result or an exception for each item."""
        self._metrics.queued.observe(time.perf_counter() - min(item.since for item in batch))
        return make(self.generator, batch, self._metrics)


def _overloaded(detail: str, seconds: float) -> Problem:
    return Problem(429, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})

"""The batcher: images asked for at the same time are made in one run. One for each generator and process.

It waits for nobody: when the generator is free it takes what is queued, up to the largest batch. Single images and pieces of
bulk requests queue apart and take turns, so that neither waits behind a row of the other.
"""

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from seedmint.service.batching.bulk_slots import BulkSlots, Place
from seedmint.service.batching.errors import ClientGone, DeadlineExceeded, Draining, Overloaded
from seedmint.service.batching.execution import Finish, Gone, Item, Latents, make
from seedmint.service.batching.queues import BULK, SINGLE, QueueKind, Queues
from seedmint.service.runtime.arrays import Labels, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator
from seedmint.service.telemetry import metrics

_SWEEP_SECONDS = 0.25  # between two looks for clients that have left and for what has waited too long
_SMOOTHING = 0.2  # weight of the newest in the estimate of seconds a run
_AT_A_TIME = 2  # pieces that a bulk request may wait for
_PIECES_HELD = _AT_A_TIME + 2  # and one that is encoded, and one on its way to the client

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
            deadline_seconds: longest that a single image, or a piece of a bulk request, is waited for.
        """
        self.generator = generator
        self._deadline = deadline_seconds
        self._max_queue = max_queue
        self._max_wait = max_wait
        self._lanes = Queues()
        self._places = BulkSlots(max_queue // generator.max_batch, _PIECES_HELD * generator.batch_bytes)
        self._seconds_a_run = 0.001
        # Its own, so that a slow generator holds up neither the others nor what else needs a thread. Ends with the batcher.
        self._thread = ThreadPoolExecutor(1, f"seedmint-{generator.name}")
        self._working: asyncio.Future[None] | None = None
        self._batch: list[Item] = []  # being made
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False
        self._metrics = metrics.OfGenerator(generator.name)

    @property
    def waiting(self) -> int:
        """Single images that wait."""
        return self._lanes.singles

    @property
    def bulk_requests(self) -> int:
        """Bulk requests under way, those with slow readers too."""
        return len(self._places)

    def single(self, seed: int, label: int | None, truncation: float, finish: Finish, gone: Gone = None) -> Result:
        """Ask for one image. Cancelling the future withdraws it; after the deadline it fails with DeadlineExceeded.

        Args:
            label: None for the label that the seed names, if the generator is conditional.
            finish: called in a thread with one image or sample and its label, as arrays of one; its result becomes the
                future's.
            gone: says whether the client has left. Its image is not made then, and its future fails with ClientGone.

        Raises:
            Overloaded: too many images wait.
            Draining: the batcher is closed.
        """
        self._check_open()
        waiting = self._lanes.singles
        if waiting >= self.generator.max_batch:
            wait = self._expected_wait()
            if waiting >= self._max_queue or wait > self._max_wait:
                raise Overloaded(f"{waiting} images are waiting already", retry_after=max(1, math.ceil(wait)))
        labels = None if label is None else np.array([label], np.int64)
        return self._put(SINGLE, np.array([seed], np.int64), labels, truncation, finish, gone)

    def bulk(self, client: str) -> AbstractContextManager[Place]:
        """A bulk request's place in the queue, to be held from its first piece to its last.

        Raises:
            Overloaded: too many bulk requests are in flight.
            Draining: the batcher is closed.
        """
        self._check_open()
        return self._places.hold(client)

    def piece(
        self, seeds: SeedArray, labels: Labels | None, truncation: float, z: Latents | None = None, gone: Gone = None
    ) -> "asyncio.Future[Outputs]":
        """Ask for a piece of a bulk request that has a place: at most `max_batch` seeds, and two pieces at a time.

        Args:
            z: float32[n, z_dim], what to make images of in place of the seeds' own noise, before truncation.
            gone: as of a single image, and so is the deadline.

        Raises:
            Draining: the batcher is closed.
        """
        self._check_open()
        return self._put(BULK, seeds, labels, truncation, gone=gone, z=z)

    async def close(self) -> None:
        """Refuse new work and what is queued, and wait for the run under way."""
        self._closed = True
        for item in self._lanes.waiting():
            _fail(item, _stopping())
        if self._working is not None:
            await self._working
        self._thread.shutdown(wait=False)

    def _expected_wait(self) -> float:
        """Seconds that the next single image will wait: for runs like the last ones, every other one of bulk requests."""
        runs = 1 + self._lanes.singles // self.generator.max_batch
        return runs * self._seconds_a_run * (2 if self._places.active else 1)

    def _check_open(self) -> None:
        if self._closed:
            raise _stopping()

    def _put(
        self,
        lane: QueueKind,
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
        if lane == SINGLE:
            future.add_done_callback(lambda _: self._lanes.withdraw(item))
        if self._lanes.put(lane, item):
            loop.call_soon(self._begin)  # what comes in the same turn of the loop runs together
        if self._sweeping is None:
            self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep)
        return future

    def _begin(self) -> None:
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        self._working = loop.run_in_executor(self._thread, self._work, loop)

    def _sweep(self) -> None:
        """End the waiting of clients that have left, and of those whose deadline has come, for as long as there is work."""
        late = time.perf_counter() - self._deadline
        for item in (*self._batch, *self._lanes.waiting()):
            if item.left:
                _fail(item, ClientGone())
            elif item.since < late:
                _fail(item, DeadlineExceeded(f"it was not ready within {self._deadline:g} seconds"))
        busy = self._lanes.busy
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep) if busy else None

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: run after run, until nothing waits.

        What was made is handed over when the next run has all that it needs, since the interpreter does one thing at a time:
        the event loop then answers beside that run, not in the way of what leads to it.
        """
        made: list[tuple[list[Item], list[Any], float]] = []

        def hand_over() -> None:
            if made:
                loop.call_soon_threadsafe(self._deliver, *made.pop())

        while True:
            batch, unwanted = self._lanes.take(self.generator.max_batch)
            if not (batch or unwanted):
                hand_over()
                return
            if unwanted:
                self._metrics.cancelled.inc(sum(len(item.seeds) for item in unwanted))
                loop.call_soon_threadsafe(_let_go, unwanted)
            if batch:
                self._batch = batch
                started = time.perf_counter()
                try:
                    self._metrics.queued.observe(started - min(item.since for item in batch))
                    results = make(self.generator, batch, self._metrics, hand_over)
                except Exception as error:  # whatever it is: the next run may succeed
                    results = [error] * len(batch)
                self._batch = []
                hand_over()  # if it failed before its run
                made.append((batch, results, time.perf_counter() - started))

    def _deliver(self, batch: list[Item], results: list[Any], seconds: float) -> None:
        self._seconds_a_run += _SMOOTHING * (seconds - self._seconds_a_run)
        for item, result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                _fail(item, result)
            elif not item.future.done():
                item.future.set_result(result)


def _stopping() -> Draining:
    return Draining("the server is stopping", retry_after=5)


def _let_go(unwanted: list[Item]) -> None:
    for item in unwanted:
        _fail(item, ClientGone())


def _fail(item: Item, error: Exception) -> None:
    if not item.future.done():
        item.future.set_exception(error)

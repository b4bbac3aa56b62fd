"""The batcher: images asked for at the same time are made in one run. One for each generator and process.

It waits for nobody: when the generator is free it takes what is queued, up to the largest batch. Single images and pieces of
bulk requests queue apart and take turns, so that neither waits behind a row of the other.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service import metrics
from service.archives import Labels
from service.generator import Generator, Outputs, SeedArray
from service.problems import Problem

_LOG = logging.getLogger("seedmint")
_SMOOTHING = 0.2  # weight of the newest in the estimates of seconds an image and seconds a bulk request

Finish = Callable[[Outputs], Any] | None
Result = asyncio.Future[Any]
Latents = NDArray[np.float32]


class _Item:
    """Images asked for together: they stay in one run, and succeed or fail together."""

    __slots__ = ("finish", "future", "labels", "queued", "seeds", "since", "truncation", "z")

    def __init__(
        self, seeds: SeedArray, labels: Labels | None, truncation: float, finish: Finish, future: Result, z: Latents | None
    ):
        self.seeds = seeds
        self.labels = labels
        self.truncation = truncation
        self.finish = finish
        self.future = future
        self.queued = True
        self.since = time.perf_counter()
        self.z = z


class Batcher:
    """Runs one generator for many requests. Lives on one event loop; runs and `finish` calls happen in a thread of its own."""

    def __init__(self, generator: Generator, max_queue: int) -> None:
        """
        Args:
            max_queue: most single images waiting, and, counted apart, most images that bulk requests hold places for.
        """
        self.generator = generator
        self._max_queue = max_queue
        self._lanes: tuple[deque[_Item], deque[_Item]] = (deque(), deque())  # single images, pieces of bulk requests
        self._turn = 0
        self._waiting = 0
        self._bulk = 0  # requests under way
        self._seconds_an_image = 0.001
        self._seconds_a_bulk = 1.0
        # Its own, so that a slow generator holds up neither the others nor what else needs a thread. Ends with the batcher.
        self._thread = ThreadPoolExecutor(1, f"seedmint-{generator.name}")
        self._pump: asyncio.Task[None] | None = None
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

    def single(self, seed: int, label: int | None, truncation: float, finish: Finish) -> Result:
        """Ask for one image. Cancelling the future withdraws it.

        Args:
            finish: called in a thread with one image or sample, as an array of one; its result becomes the future's.

        Raises:
            Problem: 429, too many are waiting; 503, closed.
        """
        self._check_open()
        if self._waiting >= self._max_queue:
            wait = self._waiting * self._seconds_an_image
            raise _overloaded(f"{self._waiting} images are waiting already", wait)
        labels = None if label is None else np.array([label], np.int64)
        return self._put(0, np.array([seed], np.int64), labels, truncation, finish)

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Hold a bulk request's place in the queue from its first piece to its last.

        Raises:
            Problem: 429, too many bulk requests are under way; 503, closed.
        """
        self._check_open()
        if (self._bulk + 1) * self.generator.max_batch > self._max_queue:
            raise _overloaded(f"{self._bulk} bulk requests are under way", self._seconds_a_bulk / self._bulk)
        self._bulk += 1
        started = time.perf_counter()
        try:
            yield
        finally:
            self._bulk -= 1
            self._seconds_a_bulk += _SMOOTHING * (time.perf_counter() - started - self._seconds_a_bulk)

    def piece(
        self, seeds: SeedArray, labels: Labels | None, truncation: float, z: Latents | None = None
    ) -> "asyncio.Future[Outputs]":
        """Ask for a piece of a bulk request, inside `bulk()`: at most `max_batch` seeds, and one piece at a time.

        Args:
            z: float32[n, z_dim], what to make images of in place of the seeds' own noise, before truncation.

        Raises:
            Problem: 503, closed.
        """
        self._check_open()
        return self._put(1, seeds, labels, truncation, None, z)

    async def close(self) -> None:
        """Refuse new work, withdraw what is queued, and wait for the run under way."""
        self._closed = True
        for lane in self._lanes:
            for item in lane:
                item.future.cancel()
        if self._pump is not None:
            await self._pump
        self._thread.shutdown(wait=False)

    def _check_open(self) -> None:
        if self._closed:
            raise Problem(503, "the server is stopping", headers={"Retry-After": "5"})

    def _put(
        self, lane: int, seeds: SeedArray, labels: Labels | None, truncation: float, finish: Finish, z: Latents | None = None
    ) -> Result:
        future = asyncio.get_running_loop().create_future()
        item = _Item(seeds, labels, truncation, finish, future, z)
        if lane == 0:
            self._waiting += 1
            future.add_done_callback(lambda _: self._leave(item))
        self._lanes[lane].append(item)
        if self._pump is None:
            self._pump = asyncio.create_task(self._run())
        return future

    def _leave(self, item: _Item) -> None:
        """A single image no longer waits: it is being made, or its client has gone."""
        if item.queued:
            item.queued = False
            self._waiting -= 1

    async def _run(self) -> None:
        try:
            while batch := self._take():
                started = time.perf_counter()
                results = await asyncio.get_running_loop().run_in_executor(self._thread, self._work, batch)
                images = sum(len(item.seeds) for item in batch)
                seconds = (time.perf_counter() - started) / images
                self._seconds_an_image += _SMOOTHING * (seconds - self._seconds_an_image)
                for item, result in zip(batch, results, strict=True):
                    if item.future.done():
                        continue
                    if isinstance(result, Exception):
                        item.future.set_exception(result)
                    else:
                        item.future.set_result(result)
        finally:
            self._pump = None

    def _take(self) -> list[_Item]:
        """The next batch: from the lane whose turn it is, then from the other, as far as there is room."""
        batch: list[_Item] = []
        room = self.generator.max_batch
        for lane in (self._lanes[self._turn], self._lanes[1 - self._turn]):
            while lane and (lane[0].future.done() or len(lane[0].seeds) <= room):
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

    def _work(self, batch: list[_Item]) -> list[Any]:
        """In the thread: a result or an exception for each item."""
        self._metrics.queued.observe(time.perf_counter() - min(item.since for item in batch))
        return self._make(batch)

    def _make(self, batch: list[_Item]) -> list[Any]:
        """One run, then `finish` for each item."""
        try:
            images = self._generate(batch)
        except Exception as error:
            if len(batch) > 1:  # one of them may be to blame: let the others succeed
                return [result for item in batch for result in self._make([item])]
            _LOG.error("generator %s failed on seeds from %d: %s", self.generator.name, batch[0].seeds[0], error)
            return [Problem(500, "the generator failed on this image")]
        results: list[Any] = []
        start = 0
        started = time.perf_counter()
        for item in batch:
            part = images[start : start + len(item.seeds)]
            start += len(item.seeds)
            try:
                results.append(part if item.finish is None or item.future.cancelled() else item.finish(part))
            except Exception as error:
                _LOG.exception("encoding failed")
                results.append(error)
        if any(item.finish for item in batch):
            self._metrics.encoding.observe(time.perf_counter() - started)
        return results

    def _generate(self, batch: list[_Item]) -> Outputs:
        seeds = np.concatenate([item.seeds for item in batch])
        labels = None if batch[0].labels is None else np.concatenate([item.labels for item in batch if item.labels is not None])
        truncation = np.repeat(np.array([item.truncation for item in batch], np.float32), [len(item.seeds) for item in batch])
        started = time.perf_counter()
        if all(item.z is None for item in batch):
            images = self.generator.generate(seeds, labels, truncation)
        else:
            z = np.concatenate([self.generator.noise(item.seeds) if item.z is None else item.z for item in batch])
            images = self.generator.generate_from(z, labels, truncation)
        self._metrics.inference.observe(time.perf_counter() - started)
        self._metrics.batch.observe(len(seeds))
        return images


def _overloaded(detail: str, seconds: float) -> Problem:
    return Problem(429, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})

"""The batcher: runs images that are requested at the same time in one batch. One batcher for each generator and process.

The batcher never waits for more requests: whenever the generator is free, it takes the queued entries, up to the largest batch.
Single images and pieces of bulk requests have separate queues. Batches take from them alternately, so that a long queue of one
kind does not delay the other kind.

Batches run in a thread. Only if one request comes after the other, and the generator is fast, the event loop runs the batch of
one image: to hand such a batch to a thread and back takes a fifth of the time of the request.
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from seedmint.service.batching.bulk_slots import BulkSlots, Slot
from seedmint.service.batching.errors import ClientGone, DeadlineExceeded, Draining, Overloaded
from seedmint.service.batching.execution import Entry, Finish, IsDisconnected, run_batch
from seedmint.service.batching.queues import BULK, SINGLE, QueueKind, Queues
from seedmint.service.runtime.arrays import Labels, Latents, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator
from seedmint.service.telemetry import metrics

_SWEEP_SECONDS = 0.25  # interval of the check for disconnected clients and exceeded deadlines
_SMOOTHING = 0.2  # weight of the latest batch in the estimated duration of a batch
_PIECES_IN_FLIGHT = 2  # pieces that one bulk request submits at a time
_PIECES_HELD = _PIECES_IN_FLIGHT + 2  # plus one piece in encoding, and one piece in sending
_RETRY_SECONDS = 5
_PROMISED_SECONDS = 60.0  # refused clients are spread over this time at most
_LINGER_SECONDS = 0.1  # that the thread waits for further entries: to wake a thread takes less time than to start its work
_INLINE_SECONDS = 0.001  # longest batch that the event loop runs itself
_INLINE_AFTER = 8  # batches in a row of one short single image, after which the event loop runs the next one itself

Result = asyncio.Future[Any]


class Batcher:
    """Runs one generator for many requests. Lives on one event loop."""

    def __init__(
        self, generator: Generator, max_queue: int, max_wait: float = math.inf, deadline_seconds: float = math.inf
    ) -> None:
        """
        Args:
            generator: The generator.
            max_queue: Most single images that wait. Separately, most images for which bulk requests hold slots.
            max_wait: Longest expected wait of a single image, in seconds. The limit applies while at least a full batch waits.
            deadline_seconds: Longest time from submission to result, for a single image or a piece of a bulk request.
        """
        self.generator = generator
        self._deadline_seconds = deadline_seconds
        self._max_queue = max_queue
        self._max_wait = max_wait
        self._queues = Queues()
        self._slots = BulkSlots(max_queue // generator.max_batch, _PIECES_HELD * generator.batch_bytes)
        self._batch_seconds = generator.batch_seconds  # estimated duration of a batch
        # A thread for each batcher, so that a slow generator delays neither other generators nor other work in threads.
        self._thread = ThreadPoolExecutor(1, f"seedmint-{generator.name}")
        self._worker: Future[None] | None = None
        self._running: list[Entry] = []  # entries of the current batch
        self._short_batches = 0  # latest batches in a row of one single image that took less than _INLINE_SECONDS
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._promised = 0.0  # latest time of a `Retry-After`, in seconds of `time.monotonic`
        self._metrics = metrics.GeneratorMetrics(generator.id)

    @property
    def queue_size(self) -> int:
        """Number of single images that wait."""
        return self._queues.singles

    @property
    def bulk_requests(self) -> int:
        """Number of bulk requests in flight, stalled ones included."""
        return len(self._slots)

    def submit(
        self, seed: int, label: int | None, truncation: float, finish: Finish, is_disconnected: IsDisconnected = None
    ) -> Result:
        """Submit one image or sample. Cancel the future to withdraw it.

        Args:
            seed: The seed.
            label: The label; None for the default label of the seed, if the generator is conditional.
            truncation: Factor on z, 0 < truncation <= 1.
            finish: Called in a thread with arrays of one image or sample and its label. Its result becomes the future's result.
            is_disconnected: Returns whether the client has disconnected. Then the image is not generated.

        Returns:
            A future. It fails with `DeadlineExceeded`, `ClientGone`, `GeneratorFailed`, `Draining`, or an error of `finish`.

        Raises:
            Overloaded: Too many images wait.
            Draining: The batcher is closed.
        """
        self._check_open()
        waiting = self._queues.singles
        if waiting >= self.generator.max_batch:
            wait = self._expected_wait()
            if waiting >= self._max_queue or wait > self._max_wait:
                raise Overloaded(f"{waiting} images are waiting already", "queue", retry_after=self._promise(wait))
        labels = None if label is None else (label,)
        return self._put(SINGLE, (seed,), labels, truncation, finish, is_disconnected)

    def acquire_slot(self, client: str) -> AbstractContextManager[Slot]:
        """Return a context that holds the slot of a bulk request, from its first piece to its last.

        Args:
            client: Address of the client, or name of its API key.

        Raises:
            Overloaded: Too many bulk requests are in flight. Raised on entering the context.
            Draining: The batcher is closed.
        """
        self._check_open()
        return self._slots.acquire(client)

    def submit_piece(
        self,
        seeds: SeedArray,
        labels: Labels | None,
        truncation: float,
        z: Latents | None = None,
        is_disconnected: IsDisconnected = None,
    ) -> "asyncio.Future[Outputs]":
        """Submit a piece of a bulk request that holds a slot. A request submits two pieces at a time at most.

        Args:
            seeds: int64[n], 1 <= n <= `generator.max_batch`.
            labels: int64[n]; None for the default labels of the seeds.
            truncation: Factor on z, 0 < truncation <= 1.
            z: float32[n, z_dim], latent vectors before truncation that replace the noise of the seeds.
            is_disconnected: Returns whether the client has disconnected. Then the piece is not generated.

        Returns:
            A future of the outputs. It fails as the future of `submit` does.

        Raises:
            Draining: The batcher is closed.
        """
        self._check_open()
        return self._put(BULK, seeds, labels, truncation, is_disconnected=is_disconnected, z=z)

    async def close(self) -> None:
        """Refuse new entries, fail the queued entries with `Draining`, and wait for the current batch."""
        self._is_closed = True
        for entry in self._queues.entries():
            self._fail(entry, _draining())
        self._queues.wake()
        if self._worker is not None:
            await asyncio.wrap_future(self._worker)
        self._thread.shutdown(wait=False)

    def _expected_wait(self) -> float:
        """Return the estimated wait of the next single image in seconds. Active bulk requests get every second batch."""
        batches = 1 + self._queues.singles // self.generator.max_batch
        return batches * self._batch_seconds * (2 if self._slots.active else 1)

    def _promise(self, wait: float) -> int:
        """Return the whole seconds after which a refused client can expect a place in the queue.

        Refused clients that arrive together get places one after another. Otherwise they would all come back at the same time,
        and most of them would be refused again.
        """
        now = time.monotonic()
        after_last = self._promised + self._batch_seconds / self.generator.max_batch
        self._promised = min(max(now + wait, after_last), now + wait + _PROMISED_SECONDS)
        return max(1, math.ceil(self._promised - now))

    def _check_open(self) -> None:
        if self._is_closed:
            raise _draining()

    def _put(
        self,
        kind: QueueKind,
        seeds: SeedArray | tuple[int, ...],
        labels: Labels | tuple[int, ...] | None,
        truncation: float,
        finish: Finish = None,
        is_disconnected: IsDisconnected = None,
        z: Latents | None = None,
    ) -> Result:
        loop = asyncio.get_running_loop()
        entry = Entry(loop, seeds, labels, truncation, finish, is_disconnected, z, self._queues.withdraw)
        if self._queues.put(kind, entry):
            loop.call_soon(self._start_worker, loop)  # entries of the same iteration of the event loop share a batch
        if self._sweep_timer is None:
            self._sweep_timer = loop.call_later(_SWEEP_SECONDS, self._sweep)
        return entry

    def _start_worker(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._is_closed:
            return
        if self._is_inline and self._queues.is_single and (self._worker is None or self._worker.done()):
            self._work(loop.call_soon)
        elif not self._queues.wake():
            self._worker = self._thread.submit(self._work, loop.call_soon_threadsafe)

    @property
    def _is_inline(self) -> bool:
        """Whether the event loop runs the next batch itself, if it is one single image and the thread has ended."""
        return self._short_batches >= _INLINE_AFTER

    def _sweep(self) -> None:
        """Fail the entries of disconnected clients and of exceeded deadlines. Repeats while the worker is busy."""
        oldest = time.perf_counter() - self._deadline_seconds
        for entry in (*self._running, *self._queues.entries()):
            if entry.is_disconnected:
                self._fail(entry, ClientGone())
            elif entry.queued_at < oldest:
                self._fail(entry, DeadlineExceeded(f"the result was not ready within {self._deadline_seconds:g} seconds"))
        is_busy = self._queues.is_busy
        self._sweep_timer = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep) if is_busy else None

    def _work(self, call_soon: Callable[..., object]) -> None:
        """Run batch after batch until the queues stay empty. Runs in the thread of the batcher, or on the event loop.

        The results of a batch go to the event loop just before the next batch enters ONNX Runtime, which releases the GIL.
        Therefore the event loop answers while the next batch runs, and does not delay its preparation.

        Args:
            call_soon: Calls a function on the event loop.
        """
        finished: list[tuple[list[Entry], list[Any], float]] = []

        def deliver() -> None:
            if finished:
                call_soon(self._deliver, *finished.pop())

        while True:
            batch, dropped = self._queues.get_batch(self.generator.max_batch)
            if not (batch or dropped):
                deliver()
                del batch, dropped
                if self._is_closed or not self._queues.wait(0 if self._is_inline else _LINGER_SECONDS):
                    return
                continue
            if dropped:
                self._metrics.cancelled.inc(sum(len(entry.seeds) for entry in dropped))
                call_soon(self._fail_disconnected, dropped)
            if batch:
                self._running = batch
                started = time.perf_counter()
                try:
                    self._metrics.queued.observe(started - min(entry.queued_at for entry in batch))
                    results = run_batch(self.generator, batch, self._metrics, deliver)
                except Exception as error:  # the next batch may succeed
                    results = [error] * len(batch)
                self._running = []
                deliver()  # does nothing unless the batch failed before its run
                finished.append((batch, results, time.perf_counter() - started))

    def _deliver(self, batch: list[Entry], results: list[Any], seconds: float) -> None:
        self._batch_seconds += _SMOOTHING * (seconds - self._batch_seconds)
        is_short = seconds < _INLINE_SECONDS and len(batch) == 1 and len(batch[0].seeds) == 1
        self._short_batches = self._short_batches + 1 if is_short else 0
        for entry, result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                self._fail(entry, result)
            elif not entry.done():
                entry.set_result(result)

    def _fail_disconnected(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._fail(entry, ClientGone())

    def _fail(self, entry: Entry, error: Exception) -> None:
        if not entry.done():
            entry.set_exception(error)
            self._queues.withdraw(entry)


def _draining() -> Draining:
    return Draining("the server is shutting down", retry_after=_RETRY_SECONDS)

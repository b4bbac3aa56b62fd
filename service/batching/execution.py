"""Runs one batch: the entries of a batch share one run of the generator, and each entry gets its own result or error."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.errors import one_line
from seedmint.models.runtime.session import TooSlowError
from seedmint.service.batching.errors import GeneratorFailed
from seedmint.service.runtime.arrays import Labels, Latents, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator
from seedmint.service.telemetry import tracing
from seedmint.service.telemetry.metrics import GeneratorMetrics

_LOG = logging.getLogger(__name__)

Finish = Callable[[Outputs, Labels | None], Any] | None
IsDisconnected = Callable[[], bool] | None


def keep_arrays(images: Outputs, labels: Labels | None) -> tuple[Outputs, Labels | None]:
    """Return the arguments. The `finish` of an entry whose arrays are encoded later.

    Args:
        images: The outputs.
        labels: Their labels.
    """
    return images, labels


class Entry(asyncio.Future[Any]):
    """Images or samples that run in the same batch, and succeed or fail together. An entry is the future of its result.

    One object instead of an entry and a future saves time for each request.

    Attributes:
        seeds: int64[n], or a tuple of n integers.
        labels: int64[n], or a tuple of n integers; None for the default labels of the seeds, if the generator is conditional.
        truncation: Factor on z, 0 < truncation <= 1.
        finish: Converts the outputs and their labels to the result; None keeps the outputs as they are.
        z: float32[n, z_dim], latent vectors before truncation that replace the noise of the seeds; None for that noise.
        is_counted: Whether the entry counts in the size of the queue of single images.
        queued_at: Time of submission, in seconds of `time.perf_counter`.
        trace: Trace of the request; None without tracing.
    """

    __slots__ = (
        "_is_disconnected",
        "_on_cancel",
        "finish",
        "is_counted",
        "labels",
        "queued_at",
        "seeds",
        "trace",
        "truncation",
        "z",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seeds: SeedArray | tuple[int, ...],
        labels: Labels | tuple[int, ...] | None,
        truncation: float,
        finish: Finish,
        is_disconnected: IsDisconnected,
        z: Latents | None,
        on_cancel: Callable[["Entry"], None],
    ) -> None:
        """
        Args:
            loop: The event loop of the future.
            seeds: int64[n], or a tuple.
            labels: int64[n], a tuple, or None.
            truncation: Factor on z.
            finish: Converts the outputs to the result, or None.
            is_disconnected: Returns whether the client has disconnected; None if this cannot be known.
            z: float32[n, z_dim], or None.
            on_cancel: Called when the future is cancelled.
        """
        super().__init__(loop=loop)
        self.seeds = seeds
        self.labels = labels
        self.truncation = truncation
        self.finish = finish
        self._is_disconnected = is_disconnected
        self.z = z
        self._on_cancel = on_cancel
        self.is_counted = False
        self.queued_at = time.perf_counter()
        self.trace = tracing.current()

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the future, and withdraw the entry from its queue.

        Args:
            msg: Message of the `CancelledError`.
        """
        is_cancelled = super().cancel(msg)
        if is_cancelled:
            self._on_cancel(self)
        return is_cancelled

    @property
    def is_disconnected(self) -> bool:
        """Whether the client has disconnected."""
        return self._is_disconnected is not None and self._is_disconnected()

    @property
    def is_pending(self) -> bool:
        """Whether a client still waits for the result."""
        return not (self.done() or (self._is_disconnected is not None and self._is_disconnected()))


def run_batch(
    generator: Generator, batch: list[Entry], metrics: GeneratorMetrics, on_prepared: Callable[[], None] = lambda: None
) -> list[Any]:
    """Run the generator once, then call `finish` for each entry. Runs in the thread of the generator.

    If the run fails, each entry runs separately, because one entry can be the cause. After `TooSlowError` no entry runs
    again, because each run could take as long.

    Args:
        generator: The generator.
        batch: At least one entry, with at most `generator.max_batch` seeds together.
        metrics: Metrics of the generator.
        on_prepared: Called when all inputs of the run are ready, just before ONNX Runtime starts and releases the GIL.

    Returns:
        For each entry a result or an exception.
    """
    try:
        outputs, labels = _generate(generator, batch, metrics, on_prepared)
    except Exception as error:
        if len(batch) > 1 and not isinstance(error, TooSlowError):
            return [result for entry in batch for result in _run_single(generator, entry, metrics)]
        _LOG.error("generator %s failed, first seed %d: %s", generator.name, batch[0].seeds[0], one_line(str(error)))
        return [GeneratorFailed("the generator failed on this input")] * len(batch)
    results: list[Any] = []
    start = 0
    started = time.perf_counter()
    for entry in batch:
        began = 0.0 if entry.trace is None else time.perf_counter()
        rows = slice(start, start := start + len(entry.seeds))
        images, image_labels = outputs[rows], None if labels is None else labels[rows]
        try:
            results.append(images if entry.finish is None or entry.done() else entry.finish(images, image_labels))
        except Exception as error:
            _LOG.exception("encoding failed")
            results.append(error)
        if entry.trace is not None and entry.finish is not None and entry.finish is not keep_arrays:
            tracing.record(entry.trace, "encode", began, time.perf_counter(), generator=generator.name)
    if any(entry.finish is not None and entry.finish is not keep_arrays for entry in batch):
        metrics.encoding.observe(time.perf_counter() - started)
    return results


def _run_single(generator: Generator, entry: Entry, metrics: GeneratorMetrics) -> list[Any]:
    """Run a batch of one entry, unless its future is done."""
    return [None] if entry.done() else run_batch(generator, [entry], metrics)


def _generate(
    generator: Generator, batch: list[Entry], metrics: GeneratorMetrics, on_prepared: Callable[[], None]
) -> tuple[Outputs, Labels | None]:
    seeds = _all_seeds(batch)
    labels = _labels(generator, batch, seeds)
    truncation: float | NDArray[np.float32] = 1.0
    if any(entry.truncation != 1.0 for entry in batch):
        factors = np.array([entry.truncation for entry in batch], np.float32)
        truncation = np.repeat(factors, [len(entry.seeds) for entry in batch])
    started = time.perf_counter()
    if all(entry.z is None for entry in batch):
        z = generator.noise(seeds)
    else:
        z = np.concatenate(
            [generator.noise(np.asarray(entry.seeds, np.int64)) if entry.z is None else entry.z for entry in batch]
        )
    on_prepared()
    outputs = generator.generate_from(z, labels, truncation)
    ended = time.perf_counter()
    metrics.inference.observe(ended - started)
    metrics.batch.observe(len(seeds))
    for entry in batch:
        if entry.trace is not None:
            tracing.record(entry.trace, "queue", entry.queued_at, started)
            tracing.record(entry.trace, "run", started, ended, generator=generator.name, batch_size=len(seeds))
    return outputs, labels


def _all_seeds(batch: list[Entry]) -> SeedArray:
    if all(type(entry.seeds) is tuple for entry in batch):  # one conversion for all of them is faster
        return np.array([seed for entry in batch for seed in entry.seeds], np.int64)
    return np.concatenate([np.asarray(entry.seeds, np.int64) for entry in batch])


def _labels(generator: Generator, batch: list[Entry], seeds: SeedArray) -> Labels | None:
    """Return the labels of the entries, with the default labels of the seeds if an entry has no labels."""
    all_labeled = all(entry.labels is not None for entry in batch)
    labels = np.empty_like(seeds) if all_labeled else generator.labels(seeds)
    if labels is not None:
        start = 0
        for entry in batch:
            rows = slice(start, start := start + len(entry.seeds))
            if entry.labels is not None:
                labels[rows] = entry.labels
    return labels

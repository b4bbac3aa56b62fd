"""Making one batch: what is asked for together, one run of the generator, and a result or an error for each item."""

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.errors import one_line
from seedmint.models.runtime.session import TooSlowError
from seedmint.service.batching.errors import GeneratorFailed
from seedmint.service.runtime.arrays import Labels, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator
from seedmint.service.telemetry.metrics import OfGenerator

_LOG = logging.getLogger("seedmint")

Finish = Callable[[Outputs, Labels | None], Any] | None
Gone = Callable[[], bool] | None
Latents = NDArray[np.float32]


class Item:
    """Images asked for together: they stay in one run, and succeed or fail together.

    Attributes:
        seeds: int64[n].
        labels: int64[n]; None for those that the seeds name, if the generator is conditional.
        finish: turns the images, and their labels, into the result; None leaves them as they are.
        gone: says whether the client has left.
        z: float32[n, z_dim], what to make images of in place of the seeds' own noise, before truncation.
        future: of the result.
        queued: whether it counts among the single images that wait.
        since: when it was asked for, in seconds of `time.perf_counter`.
    """

    __slots__ = ("finish", "future", "gone", "labels", "queued", "seeds", "since", "truncation", "z")

    def __init__(
        self,
        seeds: SeedArray,
        labels: Labels | None,
        truncation: float,
        finish: Finish,
        gone: Gone,
        z: Latents | None,
        future: Any,
    ) -> None:
        self.seeds = seeds
        self.labels = labels
        self.truncation = truncation
        self.finish = finish
        self.gone = gone
        self.z = z
        self.future = future
        self.queued = False
        self.since = time.perf_counter()

    @property
    def left(self) -> bool:
        """Whether the client has left."""
        return self.gone is not None and self.gone()

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not (self.future.done() or self.left)


def make(
    generator: Generator, batch: list[Item], metrics: OfGenerator, prepared: Callable[[], None] = lambda: None
) -> list[Any]:
    """In the generator's thread: one run, then `finish` for each item. Gives a result or an exception for each.

    Args:
        prepared: called when all that the run needs is there. Other threads are not in its way from then on.
    """
    try:
        images, labels = _generate(generator, batch, metrics, prepared)
    except Exception as error:
        if len(batch) > 1 and not isinstance(error, TooSlowError):  # one of them may be to blame: let the others succeed
            return [result for item in batch for result in _alone(generator, item, metrics)]
        _LOG.error("generator %s failed on seeds from %d: %s", generator.name, batch[0].seeds[0], one_line(str(error)))
        return [GeneratorFailed("the generator failed on this image")] * len(batch)
    results: list[Any] = []
    start = 0
    started = time.perf_counter()
    for item in batch:
        part = slice(start, start := start + len(item.seeds))
        made, named = images[part], None if labels is None else labels[part]
        try:
            results.append(made if item.finish is None or item.future.done() else item.finish(made, named))
        except Exception as error:
            _LOG.exception("encoding failed")
            results.append(error)
    if any(item.finish for item in batch):
        metrics.encoding.observe(time.perf_counter() - started)
    return results


def _alone(generator: Generator, item: Item, metrics: OfGenerator) -> list[Any]:
    """A run of its own, if anybody still waits for it."""
    return [None] if item.future.done() else make(generator, [item], metrics)


def _generate(
    generator: Generator, batch: list[Item], metrics: OfGenerator, prepared: Callable[[], None]
) -> tuple[Outputs, Labels | None]:
    seeds = np.concatenate([item.seeds for item in batch])
    labels = _labels(generator, batch, seeds)
    truncation: float | NDArray[np.float32] = 1.0
    if any(item.truncation != 1.0 for item in batch):
        each = np.array([item.truncation for item in batch], np.float32)
        truncation = np.repeat(each, [len(item.seeds) for item in batch])
    started = time.perf_counter()
    if all(item.z is None for item in batch):
        z = generator.noise(seeds)
    else:
        z = np.concatenate([generator.noise(item.seeds) if item.z is None else item.z for item in batch])
    prepared()
    images = generator.generate_from(z, labels, truncation)
    metrics.inference.observe(time.perf_counter() - started)
    metrics.batch.observe(len(seeds))
    return images, labels


def _labels(generator: Generator, batch: list[Item], seeds: SeedArray) -> Labels | None:
    """Those asked for, and else those that the seeds name."""
    all_asked = all(item.labels is not None for item in batch)
    labels = np.empty_like(seeds) if all_asked else generator.labels(seeds)
    if labels is not None:
        start = 0
        for item in batch:
            part = slice(start, start := start + len(item.seeds))
            if item.labels is not None:
                labels[part] = item.labels
    return labels

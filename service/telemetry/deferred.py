"""Metrics that are written once for each iteration of the event loop.

A write to a Prometheus metric takes a lock and packs the value into a memory-mapped file. One iteration of the event loop
answers the requests of a whole batch, and one write counts all of them.
"""

import asyncio
from bisect import bisect_left
from collections import Counter as Tally
from typing import Protocol

from prometheus_client import Counter, Histogram


class _Deferred(Protocol):
    def write(self) -> None:
        """Write the collected values."""


class _Writer:
    """Writes the metrics with collected values in the next iteration of the event loop, or at once outside an event loop."""

    def __init__(self) -> None:
        self._waiting: list[_Deferred] = []
        self._loop: asyncio.AbstractEventLoop | None = None  # the loop that will write `_waiting`

    def add(self, metric: _Deferred) -> None:
        """Schedule the write of a metric.

        Args:
            metric: A metric that is not scheduled.
        """
        self._waiting.append(metric)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write()
            return
        if loop is not self._loop:
            self._loop = loop
            loop.call_soon(self._write)

    def _write(self) -> None:
        metrics, self._waiting, self._loop = self._waiting, [], None
        for metric in metrics:
            metric.write()


_WRITER = _Writer()


class DeferredCounter:
    """Adds up the increments of a counter. Not safe to use from several threads."""

    __slots__ = ("_amount", "_counter")

    def __init__(self, counter: Counter) -> None:
        """
        Args:
            counter: A counter with its labels.
        """
        self._counter = counter
        self._amount = 0

    def inc(self, amount: int = 1) -> None:
        """Increment the counter.

        Args:
            amount: A positive number.
        """
        is_first = not self._amount
        self._amount += amount
        if is_first:
            _WRITER.add(self)

    def write(self) -> None:
        """Write the sum of the increments."""
        amount, self._amount = self._amount, 0
        self._counter.inc(amount)


class DeferredHistogram:
    """Collects the observations of a histogram. Not safe to use from several threads."""

    __slots__ = ("_amounts", "_histogram")

    def __init__(self, histogram: "BatchHistogram") -> None:
        """
        Args:
            histogram: A histogram with its labels.
        """
        self._histogram = histogram
        self._amounts: list[float] = []

    def observe(self, amount: float) -> None:
        """Observe one value.

        Args:
            amount: The value.
        """
        self._amounts.append(amount)
        if len(self._amounts) == 1:
            _WRITER.add(self)

    def write(self) -> None:
        """Write the collected observations."""
        amounts, self._amounts = self._amounts, []
        self._histogram.observe_all(amounts)


class DeferredSum:
    """Adds up values, and observes the sum. Not safe to use from several threads."""

    __slots__ = ("_histogram", "_sum")

    def __init__(self, histogram: Histogram) -> None:
        """
        Args:
            histogram: A histogram with its labels.
        """
        self._histogram = histogram
        self._sum: float | None = None

    def add(self, amount: float) -> None:
        """Add a value to the sum.

        Args:
            amount: The value.
        """
        if self._sum is not None:
            self._sum += amount
            return
        self._sum = amount
        _WRITER.add(self)

    def write(self) -> None:
        """Observe the sum."""
        amount, self._sum = self._sum, None
        if amount is not None:
            self._histogram.observe(amount)


class BatchHistogram(Histogram):
    """A histogram that can observe many values with few writes."""

    def observe_all(self, amounts: list[float]) -> None:
        """Observe several values. The result is the same as of `observe` for each value.

        Args:
            amounts: The values.
        """
        self._raise_if_not_observable()  # type: ignore[no-untyped-call]
        self._sum.inc(sum(amounts))
        for bucket, count in Tally(bisect_left(self._upper_bounds, amount) for amount in amounts).items():
            self._buckets[bucket].inc(count)

"""Deferred metrics have the values of metrics that are written at once."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from seedmint.service.telemetry.deferred import BatchHistogram, DeferredCounter, DeferredHistogram, DeferredSum

BUCKETS = (0.001, 0.01, 0.25, 1, 30)


def samples(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


@given(st.lists(st.sampled_from([0.0, 0.001, 0.0011, 0.01, 0.2, 0.25, 1.0, 2.0, 30.0, 31.0, 1e9]), max_size=30))
def test_many_observations_are_the_same_as_single_ones(amounts: list[float]):
    registries = [CollectorRegistry() for _ in range(2)]
    single = Histogram("a", "a", ["b"], buckets=BUCKETS, registry=registries[0]).labels("c")
    many = BatchHistogram("a", "a", ["b"], buckets=BUCKETS, registry=registries[1]).labels("c")
    for amount in amounts:
        single.observe(amount)
    many.observe_all(amounts)
    assert samples(registries[0]) == samples(registries[1])


def test_values_are_written_in_the_next_iteration_of_the_event_loop():
    registry = CollectorRegistry()
    counter = DeferredCounter(Counter("requests", "a", registry=registry))
    histogram = DeferredHistogram(BatchHistogram("seconds", "a", buckets=BUCKETS, registry=registry))
    total = DeferredSum(Histogram("sums", "a", buckets=BUCKETS, registry=registry))

    def values() -> tuple[float | None, ...]:
        names = ("requests_total", "seconds_count", "sums_count", "sums_sum")
        return tuple(registry.get_sample_value(name) for name in names)

    async def observe() -> None:
        for _ in range(3):
            counter.inc(2)
            histogram.observe(0.5)
            total.add(0.5)

    async def scenario() -> None:
        before = values()
        await observe()
        assert values() == before
        await asyncio.sleep(0)
        assert [now - earlier for now, earlier in zip(values(), before, strict=True)] == [6, 3, 1, 1.5]  # type: ignore[operator]

    asyncio.run(scenario())
    asyncio.run(scenario())  # on another event loop
    counter.inc()
    histogram.observe(2)
    total.add(2)
    assert values() == (13, 7, 3, 5)  # outside an event loop, values are written at once


def test_values_of_a_closed_event_loop_are_not_lost():
    registry = CollectorRegistry()
    counter = DeferredCounter(Counter("requests", "a", registry=registry))
    other = DeferredCounter(Counter("others", "a", registry=registry))

    async def increment(metric: DeferredCounter) -> None:
        metric.inc()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(increment(counter))
    loop.close()
    asyncio.run(increment(other))
    assert registry.get_sample_value("requests_total") == 1
    assert registry.get_sample_value("others_total") == 1

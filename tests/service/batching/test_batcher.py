"""The batcher with a generator that the test controls: composition and order of batches, limits, failures and shutdown."""

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seedmint.service.batching import batcher as batcher_module
from seedmint.service.batching.batcher import Batcher
from seedmint.service.batching.errors import ClientGone, DeadlineExceeded, Draining, GeneratorFailed, Overloaded
from seedmint.service.runtime.generator import Generator


class ControlledGenerator:
    """Records each batch, and runs it when the test releases it. A batch with the seed `failing_seed` fails."""

    name = "controlled"
    id = ("controlled", "0")
    batch_bytes = 8
    batch_seconds = 0.001

    def __init__(self, max_batch: int = 8, failing_seed: int | None = None) -> None:
        self.max_batch = max_batch
        self.batches: list[list[int]] = []
        self.truncations: list[list[float]] = []
        self.failing_seed = failing_seed
        self._released = threading.Semaphore(0)

    def release(self, batches: int = 1000) -> None:
        self._released.release(batches)

    def labels(self, seeds: np.ndarray) -> None:
        return None

    def noise(self, seeds: np.ndarray) -> np.ndarray:
        return seeds

    def generate_from(self, seeds: np.ndarray, labels: Any, truncation: Any) -> np.ndarray:
        self.batches.append(seeds.tolist())
        self.truncations.append(np.broadcast_to(truncation, len(seeds)).tolist())
        assert self._released.acquire(timeout=60)
        if self.failing_seed in seeds:
            raise RuntimeError("secret detail")
        return (seeds % 256).astype(np.uint8).reshape(-1, 1, 1, 1)


def new_batcher(generator: ControlledGenerator, max_queue: int = 100, **limits: float) -> Batcher:
    return Batcher(generator, max_queue, **limits)  # type: ignore[arg-type]


def first_value(images: Any, labels: Any) -> int:
    return int(images[0, 0, 0, 0])


def submit(
    batcher: Batcher, seed: int, finish: Callable[[Any, Any], Any] = first_value, truncation: float = 1.0
) -> asyncio.Future[Any]:
    return batcher.submit(seed, None, truncation, finish)


async def wait_for_batches(generator: ControlledGenerator, batches: int) -> None:
    async with asyncio.timeout(60):
        while len(generator.batches) < batches:
            await asyncio.sleep(0.001)


def test_waiting_entries_share_a_batch_and_each_gets_its_own_result():
    async def scenario() -> None:
        generator = ControlledGenerator()
        batcher = new_batcher(generator)
        first = submit(batcher, 1)
        await wait_for_batches(generator, 1)
        others = [submit(batcher, seed, truncation=seed / 100) for seed in range(2, 14)]
        generator.release()
        assert await first == 1
        assert await asyncio.gather(*others) == list(range(2, 14))
        assert generator.batches == [[1], list(range(2, 10)), list(range(10, 14))]
        np.testing.assert_allclose(generator.truncations[0], [1.0])
        np.testing.assert_allclose(generator.truncations[2], [0.10, 0.11, 0.12, 0.13])

    asyncio.run(scenario())


def test_full_queue_refuses_and_a_cancelled_entry_makes_room():
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=2)
        batcher = new_batcher(generator, 5)
        running = submit(batcher, 0)
        await wait_for_batches(generator, 1)
        waiting = [submit(batcher, seed) for seed in range(1, 6)]
        assert batcher.queue_size == 5
        with pytest.raises(Overloaded) as raised:
            submit(batcher, 6)
        assert raised.value.limit == "queue"
        assert raised.value.retry_after == 1
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert batcher.queue_size == 4
        another = submit(batcher, 6)
        generator.release()
        assert await asyncio.gather(running, *waiting[1:], another) == [0, 2, 3, 4, 5, 6]
        assert batcher.queue_size == 0

    asyncio.run(scenario())


def test_long_expected_wait_refuses_but_only_beyond_a_full_batch():
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=2)
        batcher = new_batcher(generator, max_wait=0.01)
        slow = submit(batcher, 0)
        await asyncio.sleep(0.2)
        generator.release(1)
        assert await slow == 0
        running = submit(batcher, 0)
        await wait_for_batches(generator, 2)
        waiting = [submit(batcher, seed) for seed in (1, 2)]
        with pytest.raises(Overloaded) as raised:
            submit(batcher, 3)
        assert raised.value.limit == "queue"
        generator.release()
        assert await asyncio.gather(running, *waiting) == [0, 1, 2]

    asyncio.run(scenario())


def test_refused_clients_come_back_one_after_another():
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=1)
        generator.batch_seconds = 5.0
        batcher = new_batcher(generator, 100, max_wait=6.0)
        running = submit(batcher, 0)
        await wait_for_batches(generator, 1)
        waiting = submit(batcher, 1)
        seconds = []
        for seed in range(20):
            with pytest.raises(Overloaded) as raised:
                submit(batcher, seed)
            seconds.append(raised.value.retry_after)
        assert seconds[:4] == [10, 15, 20, 25]  # two batches before the first, then one more for each
        assert seconds[-1] == 70  # at most a minute more
        generator.release()
        await asyncio.gather(running, waiting)

    asyncio.run(scenario())


def test_expected_wait_counts_batches_and_doubles_beside_bulk_requests():
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=2)
        generator.batch_seconds = 3.0
        batcher = new_batcher(generator, 4)
        running = submit(batcher, 0)
        await wait_for_batches(generator, 1)
        waiting = [submit(batcher, seed) for seed in range(1, 5)]

        def retry_after() -> int | None:
            with pytest.raises(Overloaded) as raised:
                submit(batcher, 9)
            return raised.value.retry_after

        assert retry_after() == 9  # one batch runs, and two wait
        with batcher.acquire_slot("client"):
            assert retry_after() == 18
        generator.release()
        await asyncio.gather(running, *waiting)

    asyncio.run(scenario())


def test_expected_wait_follows_the_duration_of_batches():
    async def scenario() -> None:
        batcher = new_batcher(ControlledGenerator())
        for seconds, estimate in ((10.0, 2.0008), (10.0, 3.60064), (0.0, 2.880512)):  # a fifth of the difference, from 0.001
            batcher._deliver([], [], seconds)
            assert batcher._expected_wait() == pytest.approx(estimate)

    asyncio.run(scenario())


def test_image_that_waits_as_long_as_it_may_is_accepted():
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=2)
        generator.batch_seconds = 1.0
        batcher = new_batcher(generator, max_wait=2.0)
        running = submit(batcher, 0)
        await wait_for_batches(generator, 1)
        waiting = [submit(batcher, seed) for seed in range(1, 5)]  # the last two expect to wait for two batches
        with pytest.raises(Overloaded):
            submit(batcher, 5)
        generator.release()
        assert await asyncio.gather(running, *waiting) == [0, 1, 2, 3, 4]

    asyncio.run(scenario())


def test_error_outside_the_generator_fails_its_batch_and_the_next_batch_runs(monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object) -> None:
        raise MemoryError

    async def scenario() -> None:
        generator = ControlledGenerator()
        generator.release()
        batcher = new_batcher(generator)
        with monkeypatch.context() as context:
            context.setattr(batcher_module, "run_batch", fail)
            results = await asyncio.gather(submit(batcher, 1), submit(batcher, 2), return_exceptions=True)
        assert [type(result) for result in results] == [MemoryError] * 2
        assert await submit(batcher, 3) == 3

    asyncio.run(scenario())


def test_queue_time_and_duration_of_a_batch_are_measured_from_its_start(monkeypatch: pytest.MonkeyPatch):
    queued: list[float] = []

    async def scenario() -> None:
        generator = ControlledGenerator()
        batcher = new_batcher(generator)
        monkeypatch.setattr(batcher._metrics, "queued", SimpleNamespace(observe=queued.append))
        running = submit(batcher, 1)
        await wait_for_batches(generator, 1)
        waiting = submit(batcher, 2)
        await asyncio.sleep(0.05)
        generator.release()
        await asyncio.gather(running, waiting)
        assert 0.001 < batcher._expected_wait() < 30

    asyncio.run(scenario())
    assert 0 < queued[0] < 30
    assert 0.04 < queued[1] < 30


def test_bulk_requests_have_slots_for_as_many_batches_as_the_queue_and_hold_four_pieces(monkeypatch: pytest.MonkeyPatch):
    created: list[tuple[int, int]] = []
    monkeypatch.setattr(batcher_module, "BulkSlots", lambda *limits: created.append(limits))
    new_batcher(ControlledGenerator(max_batch=4), max_queue=11)
    assert created == [(2, 4 * ControlledGenerator.batch_bytes)]


def test_bulk_requests_have_slots_of_their_own_and_release_them():
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=4)
        batcher = new_batcher(generator, 8)
        with batcher.acquire_slot("one"), batcher.acquire_slot("other"):
            assert batcher.bulk_requests == 2
            with pytest.raises(Overloaded) as raised, batcher.acquire_slot("one"):
                pass
            assert (raised.value.limit, raised.value.retry_after) == ("slots", 1)
            generator.release()
            assert await submit(batcher, 3) == 3
        assert batcher.bulk_requests == 0
        with batcher.acquire_slot("one"), batcher.acquire_slot("one"):
            pass

    asyncio.run(scenario())


def test_cancelled_entry_is_neither_generated_nor_encoded():
    async def scenario() -> None:
        generator = ControlledGenerator()
        batcher = new_batcher(generator)
        encoded: list[int] = []
        running = submit(batcher, 0, finish=lambda images, labels: encoded.append(0))
        await wait_for_batches(generator, 1)
        waiting = [submit(batcher, seed) for seed in range(1, 5)]
        for future in (running, *waiting[:3]):
            future.cancel()
        generator.release()
        assert await waiting[3] == 4
        assert generator.batches == [[0], [4]]
        assert encoded == []

    asyncio.run(scenario())


async def _run_on_event_loop(batcher: Batcher) -> None:
    """Submit one image after the other, until the event loop runs one itself."""
    async with asyncio.timeout(60):
        while await submit(batcher, 1, lambda *_: threading.get_ident()) != threading.get_ident():
            pass


def test_event_loop_runs_short_images_that_come_one_after_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batcher_module, "_INLINE_SECONDS", 60.0)

    async def scenario() -> None:
        generator = ControlledGenerator()
        generator.release()
        batcher = new_batcher(generator)
        await _run_on_event_loop(batcher)
        assert len(generator.batches) > batcher_module._INLINE_AFTER
        assert await submit(batcher, 5) == 5
        with pytest.raises(ZeroDivisionError):
            await submit(batcher, 6, lambda *_: 1 / 0)
        pair = [submit(batcher, seed, lambda *_: threading.get_ident()) for seed in (7, 8)]
        assert threading.get_ident() not in await asyncio.gather(*pair)
        assert generator.batches[-1] == [7, 8]
        assert await submit(batcher, 9, lambda *_: threading.get_ident()) != threading.get_ident()  # after a batch of two
        await _run_on_event_loop(batcher)
        piece = batcher.submit_piece(np.array([10, 11]), None, 1.0)
        assert (await piece).ravel().tolist() == [10, 11]
        assert await submit(batcher, 12, lambda *_: threading.get_ident()) != threading.get_ident()  # after a piece
        await batcher.close()

    asyncio.run(scenario())


def test_event_loop_runs_no_image_of_a_slow_generator():
    async def scenario() -> None:
        generator = ControlledGenerator()
        generator.release()
        batcher = new_batcher(generator)
        for seed in range(3 * batcher_module._INLINE_AFTER):

            def finish(*_: Any) -> int:
                time.sleep(2 * batcher_module._INLINE_SECONDS)
                return threading.get_ident()

            assert await submit(batcher, seed, finish) != threading.get_ident()
        await batcher.close()

    asyncio.run(scenario())


def test_single_images_and_bulk_pieces_alternate():
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=4)
        batcher = new_batcher(generator)
        running = submit(batcher, 0)
        await wait_for_batches(generator, 1)
        bulk = [batcher.submit_piece(np.arange(100 + 4 * i, 104 + 4 * i), None, 1.0) for i in range(3)]
        singles = [submit(batcher, seed) for seed in range(1, 11)]
        assert batcher.queue_size == 10  # pieces do not count
        generator.release()
        await asyncio.gather(running, *bulk, *singles)
        kinds = ["bulk" if batch[0] >= 100 else "single" for batch in generator.batches]
        assert kinds == ["single", "bulk", "single", "bulk", "single", "bulk", "single"]

    asyncio.run(scenario())


@pytest.mark.parametrize("before", [1, 2])
def test_single_image_waits_only_for_the_current_batch(before: int):
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=4)
        batcher = new_batcher(generator)
        bulk = [batcher.submit_piece(np.arange(100 + 4 * i, 104 + 4 * i), None, 1.0) for i in range(5)]
        for _ in range(before - 1):
            generator.release(1)
        await wait_for_batches(generator, before)
        single = submit(batcher, 1)
        generator.release()
        await asyncio.gather(*bulk, single)
        assert [batch[0] for batch in generator.batches].index(1) == before

    asyncio.run(scenario())


def test_latent_vectors_and_seeds_share_a_batch(rgb: Generator):
    async def scenario() -> None:
        batcher = Batcher(rgb, 100)
        seeds, z = np.arange(5), rgb.noise(np.arange(70, 75))
        piece = batcher.submit_piece(seeds, np.array([2, 1, 0, 1, 2]), 0.5, z)
        singles = [batcher.submit(seed, 1, 0.25, lambda images, labels: images[0]) for seed in range(8)]
        np.testing.assert_array_equal(await piece, rgb.generate(np.arange(70, 75), np.array([2, 1, 0, 1, 2]), 0.5))
        np.testing.assert_array_equal(await asyncio.gather(*singles), rgb.generate(np.arange(8), np.full(8, 1), 0.25))

    asyncio.run(scenario())


def test_failing_entry_does_not_fail_the_others_of_its_batch():
    async def scenario() -> None:
        generator = ControlledGenerator(failing_seed=3)
        batcher = new_batcher(generator)
        generator.release()
        broken = submit(batcher, 50, finish=lambda images, labels: 1 // 0)
        results = await asyncio.gather(broken, *(submit(batcher, seed) for seed in range(6)), return_exceptions=True)
        assert isinstance(results[0], ZeroDivisionError)
        assert [result for result in results[1:] if isinstance(result, int)] == [0, 1, 2, 4, 5]
        assert isinstance(results[4], GeneratorFailed)
        assert "secret detail" not in str(results[4])

    asyncio.run(scenario())


class SlowPreparation(ControlledGenerator):
    """Waits while it prepares seed 1, and fails while it prepares seed 3."""

    def __init__(self) -> None:
        super().__init__(max_batch=1)
        self.is_preparing = threading.Event()
        self.may_prepare = threading.Event()

    def noise(self, seeds: np.ndarray) -> np.ndarray:
        if seeds[0] == 1:
            self.is_preparing.set()
            assert self.may_prepare.wait(60)
        if seeds[0] == 3:
            raise ValueError("no noise")
        return super().noise(seeds)


def test_results_are_delivered_when_the_next_batch_is_prepared_or_fails():
    async def scenario() -> None:
        generator = SlowPreparation()
        batcher = new_batcher(generator)
        futures = [submit(batcher, seed) for seed in range(4)]
        generator.release(1)
        await asyncio.to_thread(generator.is_preparing.wait, 60)
        await asyncio.sleep(0.05)
        assert not futures[0].done()
        generator.may_prepare.set()
        assert await asyncio.wait_for(futures[0], 60) == 0
        await wait_for_batches(generator, 2)
        assert not futures[1].done()
        generator.release(2)
        assert await asyncio.wait_for(asyncio.gather(*futures[1:3]), 60) == [1, 2]
        with pytest.raises(GeneratorFailed):
            await asyncio.wait_for(futures[3], 60)

    asyncio.run(scenario())


def test_close_waits_for_the_current_batch_and_refuses_all_others():
    async def scenario() -> None:
        generator = ControlledGenerator()
        batcher = new_batcher(generator)
        running = submit(batcher, 1)
        await wait_for_batches(generator, 1)
        waiting = submit(batcher, 2)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        for refused in (
            lambda: submit(batcher, 3),
            lambda: batcher.submit_piece(np.arange(2), None, 1.0),
            lambda: batcher.acquire_slot("client"),
        ):
            with pytest.raises(Draining) as raised:
                refused()
            assert raised.value.retry_after == 5
        generator.release()
        await closing
        assert await running == 1
        with pytest.raises(Draining):
            await waiting
        assert generator.batches == [[1]]

    asyncio.run(scenario())


def test_slow_generator_delays_no_other_generator():
    async def scenario() -> None:
        slow = [ControlledGenerator() for _ in range(64)]  # more than the default threads of asyncio
        stuck = [submit(new_batcher(generator), 1) for generator in slow]
        quick = ControlledGenerator()
        quick.release()
        assert await asyncio.wait_for(submit(new_batcher(quick), 2), 60) == 2
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 3), 60) == 3
        for generator in slow:
            generator.release()
        assert await asyncio.gather(*stuck) == [1] * 64

    asyncio.run(scenario())


class Conditional(ControlledGenerator):
    """Each image is its label. The default label of a seed is its last digit."""

    def labels(self, seeds: np.ndarray) -> np.ndarray:  # type: ignore[override]
        return seeds % 10

    def generate_from(self, seeds: np.ndarray, labels: Any, truncation: Any) -> np.ndarray:
        super().generate_from(seeds, labels, truncation)
        return labels.astype(np.uint8).reshape(-1, 1, 1, 1)


def test_explicit_and_default_labels_share_a_batch():
    async def scenario() -> None:
        generator = Conditional()
        batcher = new_batcher(generator)
        generator.release()
        value_and_label = lambda images, labels: (int(images[0, 0, 0, 0]), int(labels[0]))  # noqa: E731
        entries = [(21, None), (22, 7), (23, None), (24, 0)]
        results = await asyncio.gather(*(batcher.submit(seed, label, 1.0, value_and_label) for seed, label in entries))
        assert results == [(1, 1), (7, 7), (3, 3), (0, 0)]
        assert generator.batches == [[21, 22, 23, 24]]
        with batcher.acquire_slot("one"):
            piece = batcher.submit_piece(np.array([5, 6]), np.array([8, 9]), 1.0)
            assert (await piece).ravel().tolist() == [8, 9]

    asyncio.run(scenario())


def test_entry_of_a_disconnected_client_is_not_generated():
    async def scenario() -> None:
        generator = ControlledGenerator()
        batcher = new_batcher(generator)
        running = submit(batcher, 0)
        await wait_for_batches(generator, 1)
        disconnected: set[int] = set()
        waiting = {
            seed: batcher.submit(seed, None, 1.0, first_value, lambda seed=seed: seed in disconnected) for seed in range(1, 4)
        }
        disconnected.add(2)
        generator.release()
        assert await asyncio.gather(running, waiting[1], waiting[3]) == [0, 1, 3]
        with pytest.raises(ClientGone):
            await waiting[2]
        assert generator.batches == [[0], [1, 3]]

    asyncio.run(scenario())


def test_pieces_of_a_disconnected_client_are_not_generated():
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=4)
        batcher = new_batcher(generator)
        disconnected: set[str] = set()
        running = submit(batcher, 0)
        await wait_for_batches(generator, 1)

        def pieces(client: str, first: int) -> list[asyncio.Future[Any]]:
            starts = (first, first + 4)
            return [
                batcher.submit_piece(np.arange(start, start + 4), None, 1.0, None, lambda: client in disconnected)
                for start in starts
            ]

        dropped, kept = pieces("one", 100), pieces("other", 200)
        disconnected.add("one")
        for future in dropped:  # they fail while the current batch still runs
            with pytest.raises(ClientGone):
                await future
        generator.release()
        await asyncio.gather(running, *kept)
        assert [batch[0] for batch in generator.batches] == [0, 200, 204]

    asyncio.run(scenario())


def test_disconnected_clients_make_room_while_a_batch_runs():
    async def scenario() -> None:
        generator = ControlledGenerator(max_batch=2)
        batcher = new_batcher(generator, 2)
        running = submit(batcher, 0)
        await wait_for_batches(generator, 1)
        dropped = [batcher.submit(seed, None, 1.0, None, lambda: True) for seed in (1, 2)]
        with pytest.raises(Overloaded):
            submit(batcher, 3)
        assert [type(result) for result in await asyncio.gather(*dropped, return_exceptions=True)] == [ClientGone] * 2
        late = submit(batcher, 3)
        generator.release()
        assert await asyncio.gather(running, late) == [0, 3]
        assert generator.batches == [[0], [3]]

    asyncio.run(scenario())


def test_deadline_fails_waiting_and_running_entries():
    async def scenario() -> None:
        generator = ControlledGenerator()
        batcher = new_batcher(generator, deadline_seconds=0.3)
        running = submit(batcher, 0)
        await wait_for_batches(generator, 1)
        results = await asyncio.gather(running, submit(batcher, 1), return_exceptions=True)
        assert [type(result) for result in results] == [DeadlineExceeded] * 2
        generator.release()
        batcher._deadline_seconds = 60.0
        assert await submit(batcher, 2) == 2
        assert generator.batches == [[0], [2]]

    asyncio.run(scenario())

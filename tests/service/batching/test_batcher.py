"""The batcher alone, with a generator that the test holds by the hand: what runs together, in which order, and what fails."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from seedmint.models.runtime.session import TooSlowError
from seedmint.service.batching.batcher import Batcher
from seedmint.service.batching.errors import ClientGone, DeadlineExceeded, Draining, GeneratorFailed, Overloaded
from seedmint.service.runtime.generator import Generator


class Held:
    """Stands in for a generator: records each run, waits until let go, and fails on seeds that it is told to."""

    name = "held"
    batch_bytes = 8

    def __init__(self, max_batch: int = 8, poison: int | None = None) -> None:
        self.max_batch = max_batch
        self.runs: list[list[int]] = []
        self.truncations: list[list[float]] = []
        self.poison = poison
        self._go = threading.Semaphore(0)

    def let_go(self, runs: int = 1000) -> None:
        self._go.release(runs)

    def labels(self, seeds: np.ndarray) -> None:
        return None

    def noise(self, seeds: np.ndarray) -> np.ndarray:
        return seeds

    def generate_from(self, seeds: np.ndarray, labels: Any, truncation: Any) -> np.ndarray:
        self.runs.append(seeds.tolist())
        self.truncations.append(np.broadcast_to(truncation, len(seeds)).tolist())
        assert self._go.acquire(timeout=20)
        if self.poison in seeds:
            raise RuntimeError("poisoned")
        return (seeds % 256).astype(np.uint8).reshape(-1, 1, 1, 1)


def single(
    batcher: Batcher, seed: int, finish=lambda images, labels: int(images[0, 0, 0, 0]), truncation: float = 1.0
) -> asyncio.Future[Any]:
    return batcher.single(seed, None, truncation, finish)


async def started(generator: Held, runs: int) -> None:
    while len(generator.runs) < runs:
        await asyncio.sleep(0.001)


def test_what_waits_runs_together_and_each_gets_its_own():
    async def scene() -> None:
        generator = Held()
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        first = single(batcher, 1)
        await started(generator, 1)
        rest = [single(batcher, seed, truncation=seed / 100) for seed in range(2, 14)]
        generator.let_go()
        assert await first == 1
        assert await asyncio.gather(*rest) == list(range(2, 14))
        assert generator.runs == [[1], list(range(2, 10)), list(range(10, 14))]
        np.testing.assert_allclose(generator.truncations[2], [0.10, 0.11, 0.12, 0.13])

    asyncio.run(scene())


def test_it_is_bounded_in_images_and_says_when_to_come_again():
    async def scene() -> None:
        generator = Held(max_batch=2)
        batcher = Batcher(generator, 5)  # type: ignore[arg-type]
        running = single(batcher, 0)
        await started(generator, 1)
        waiting = [single(batcher, seed) for seed in range(1, 6)]
        with pytest.raises(Overloaded) as refused:
            single(batcher, 6)
        assert (refused.value.retry_after or 0) >= 1
        waiting[0].cancel()  # a client that leaves makes room
        await asyncio.sleep(0)
        again = single(batcher, 6)
        generator.let_go()
        assert await asyncio.gather(running, *waiting[1:], again) == [0, 2, 3, 4, 5, 6]

    asyncio.run(scene())


def test_who_would_wait_too_long_is_told_so_but_a_run_is_always_filled():
    async def scene() -> None:
        generator = Held(max_batch=2)
        batcher = Batcher(generator, 100, max_wait=0.01)  # type: ignore[arg-type]
        slow = single(batcher, 0)
        await asyncio.sleep(0.2)
        generator.let_go(1)
        assert await slow == 0
        running = single(batcher, 0)
        await started(generator, 2)
        waiting = [single(batcher, seed) for seed in (1, 2)]
        with pytest.raises(Overloaded):
            single(batcher, 3)
        generator.let_go()
        assert await asyncio.gather(running, *waiting) == [0, 1, 2]

    asyncio.run(scene())


def test_bulk_requests_are_bounded_apart_and_give_their_place_back():
    async def scene() -> None:
        generator = Held(max_batch=4)
        batcher = Batcher(generator, 8)  # type: ignore[arg-type]
        with batcher.bulk("one"), batcher.bulk("other"):
            with pytest.raises(Overloaded) as refused, batcher.bulk("one"):
                pass
            assert refused.value.retry_after == 1
            generator.let_go()
            assert await single(batcher, 3) == 3
        with batcher.bulk("one"), batcher.bulk("one"):
            pass

    asyncio.run(scene())


def test_what_is_withdrawn_is_never_made():
    async def scene() -> None:
        generator = Held()
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        finished: list[int] = []
        running = single(batcher, 0, finish=lambda images, labels: finished.append(0))
        await started(generator, 1)
        waiting = [single(batcher, seed) for seed in range(1, 5)]
        for future in (running, *waiting[:3]):
            future.cancel()
        generator.let_go()
        assert await waiting[3] == 4
        assert generator.runs == [[0], [4]]
        assert finished == []  # nor encoded, when the client leaves during the run

    asyncio.run(scene())


def test_single_images_and_bulk_take_turns():
    async def scene() -> None:
        generator = Held(max_batch=4)
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        running = single(batcher, 0)
        await started(generator, 1)
        bulk = [batcher.piece(np.arange(100 + 4 * i, 104 + 4 * i), None, 1.0) for i in range(3)]
        singles = [single(batcher, seed) for seed in range(1, 11)]
        generator.let_go()
        await asyncio.gather(running, *bulk, *singles)
        lanes = ["bulk" if run[0] >= 100 else "single" for run in generator.runs]
        assert lanes == ["single", "bulk", "single", "bulk", "single", "bulk", "single"]

    asyncio.run(scene())


@pytest.mark.parametrize("before", [1, 2])
def test_a_single_image_waits_for_no_more_than_the_run_under_way(before: int):
    async def scene() -> None:
        generator = Held(max_batch=4)
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        bulk = [batcher.piece(np.arange(100 + 4 * i, 104 + 4 * i), None, 1.0) for i in range(5)]
        for _ in range(before - 1):
            generator.let_go(1)
        await started(generator, before)
        alone = single(batcher, 1)
        generator.let_go()
        await asyncio.gather(*bulk, alone)
        assert [run[0] for run in generator.runs].index(1) == before

    asyncio.run(scene())


def test_a_given_z_runs_beside_seeds(rgb: Generator):
    async def scene() -> None:
        batcher = Batcher(rgb, 100)
        seeds, z = np.arange(5), rgb.noise(np.arange(70, 75))
        given = batcher.piece(seeds, np.array([2, 1, 0, 1, 2]), 0.5, z)
        alone = [batcher.single(seed, 1, 0.25, lambda images, labels: images[0]) for seed in range(8)]
        np.testing.assert_array_equal(await given, rgb.generate(np.arange(70, 75), np.array([2, 1, 0, 1, 2]), 0.5))
        np.testing.assert_array_equal(await asyncio.gather(*alone), rgb.generate(np.arange(8), np.full(8, 1), 0.25))

    asyncio.run(scene())


def test_one_that_fails_fails_alone():
    async def scene() -> None:
        generator = Held(poison=3)
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        generator.let_go()
        broken = single(batcher, 50, finish=lambda images, labels: 1 // 0)
        results = await asyncio.gather(broken, *(single(batcher, seed) for seed in range(6)), return_exceptions=True)
        assert isinstance(results[0], ZeroDivisionError)
        assert [r for r in results[1:] if isinstance(r, int)] == [0, 1, 2, 4, 5]
        assert isinstance(results[4], GeneratorFailed)
        assert "poisoned" not in str(results[4])

    asyncio.run(scene())


@pytest.mark.parametrize("error", [TooSlowError("took too long"), RuntimeError("out of luck")])
def test_a_run_that_took_too_long_is_not_tried_again(error: Exception):
    """One image after the other, each would take as long, and nobody waits for so long. After any other error they are."""

    class Failing(Held):
        def generate_from(self, seeds: np.ndarray, labels: Any, truncation: Any) -> np.ndarray:
            super().generate_from(seeds, labels, truncation)
            raise error

    async def scene() -> None:
        generator = Failing(max_batch=4)
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        generator.let_go()
        results = await asyncio.gather(*(single(batcher, seed) for seed in range(4)), return_exceptions=True)
        assert [type(result) for result in results] == [GeneratorFailed] * 4
        again = [] if isinstance(error, TooSlowError) else [[0], [1], [2], [3]]
        assert generator.runs == [[0, 1, 2, 3], *again]

    asyncio.run(scene())


class Prepared(Held):
    """Fails on some seeds before their run, and can be held there."""

    def __init__(self) -> None:
        super().__init__(max_batch=1)
        self.preparing = threading.Event()
        self.prepare = threading.Event()

    def noise(self, seeds: np.ndarray) -> np.ndarray:
        if seeds[0] == 1:
            self.preparing.set()
            assert self.prepare.wait(20)
        if seeds[0] == 3:
            raise ValueError("no noise")
        return super().noise(seeds)


def test_what_was_made_is_handed_over_before_the_next_run_and_whatever_becomes_of_it():
    async def scene() -> None:
        generator = Prepared()
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        asked = [single(batcher, seed) for seed in range(4)]
        generator.let_go(1)
        await asyncio.to_thread(generator.preparing.wait, 20)
        await asyncio.sleep(0.05)
        assert not asked[0].done()  # made, and told when the next is ready to run
        generator.prepare.set()
        assert await asyncio.wait_for(asked[0], 10) == 0
        await started(generator, 2)
        assert not asked[1].done()
        generator.let_go(2)
        assert await asyncio.wait_for(asyncio.gather(*asked[1:3]), 10) == [1, 2]
        with pytest.raises(GeneratorFailed):
            await asyncio.wait_for(asked[3], 10)

    asyncio.run(scene())


def test_closing_waits_for_the_run_and_refuses_the_rest():
    async def scene() -> None:
        generator = Held()
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        running = single(batcher, 1)
        await started(generator, 1)
        waiting = single(batcher, 2)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        with pytest.raises(Draining):
            single(batcher, 3)
        generator.let_go()
        await closing
        assert await running == 1
        with pytest.raises(Draining):
            await waiting
        assert generator.runs == [[1]]

    asyncio.run(scene())


def test_a_slow_generator_holds_no_other_up():
    async def scene() -> None:
        slow = [Held() for _ in range(64)]  # more than the threads that asyncio keeps
        stuck = [single(Batcher(generator, 100), 1) for generator in slow]  # type: ignore[arg-type]
        quick = Held()
        quick.let_go()
        assert await asyncio.wait_for(single(Batcher(quick, 100), 2), 10) == 2  # type: ignore[arg-type]
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 3), 10) == 3
        for generator in slow:
            generator.let_go()
        assert await asyncio.gather(*stuck) == [1] * 64

    asyncio.run(scene())


class Conditional(Held):
    """Makes images of labels: the seed's last digit, if none is asked for."""

    def labels(self, seeds: np.ndarray) -> np.ndarray:  # type: ignore[override]
        return seeds % 10

    def generate_from(self, seeds: np.ndarray, labels: Any, truncation: Any) -> np.ndarray:
        super().generate_from(seeds, labels, truncation)
        return labels.astype(np.uint8).reshape(-1, 1, 1, 1)


def test_labels_asked_for_and_labels_of_seeds_go_in_one_run():
    async def scene() -> None:
        generator = Conditional()
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        generator.let_go()
        both = lambda images, labels: (int(images[0, 0, 0, 0]), int(labels[0]))  # noqa: E731
        asked = [(21, None), (22, 7), (23, None), (24, 0)]
        got = await asyncio.gather(*(batcher.single(seed, label, 1.0, both) for seed, label in asked))
        assert got == [(1, 1), (7, 7), (3, 3), (0, 0)]
        assert generator.runs == [[21, 22, 23, 24]]
        with batcher.bulk("one"):
            piece = batcher.piece(np.array([5, 6]), np.array([8, 9]), 1.0)
            assert (await piece).ravel().tolist() == [8, 9]

    asyncio.run(scene())


def test_a_client_that_has_left_is_found_out_before_its_run():
    async def scene() -> None:
        generator = Held()
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        running = single(batcher, 0)
        await started(generator, 1)
        left: set[int] = set()
        waiting = {
            seed: batcher.single(seed, None, 1.0, lambda images, _: int(images[0, 0, 0, 0]), lambda seed=seed: seed in left)
            for seed in range(1, 4)
        }
        left.add(2)
        generator.let_go()
        assert await asyncio.gather(running, waiting[1], waiting[3]) == [0, 1, 3]
        with pytest.raises(ClientGone):
            await waiting[2]
        assert generator.runs == [[0], [1, 3]]

    asyncio.run(scene())


def test_a_piece_whose_client_has_left_is_not_made():
    async def scene() -> None:
        generator = Held(max_batch=4)
        batcher = Batcher(generator, 100)  # type: ignore[arg-type]
        left: set[str] = set()
        running = single(batcher, 0)
        await started(generator, 1)
        ghosts, stays = (
            [
                batcher.piece(np.arange(first + 4 * i, first + 4 * i + 4), None, 1.0, gone=lambda who=who: who in left)
                for i in range(2)
            ]
            for who, first in (("ghost", 100), ("other", 200))
        )
        left.add("ghost")
        for ghost in ghosts:  # noticed while the run goes on
            with pytest.raises(ClientGone):
                await ghost
        generator.let_go()
        await asyncio.gather(running, *stays)
        assert [run[0] for run in generator.runs] == [0, 200, 204]

    asyncio.run(scene())


def test_clients_that_leave_make_room_while_a_run_goes_on():
    async def scene() -> None:
        generator = Held(max_batch=2)
        batcher = Batcher(generator, 2)  # type: ignore[arg-type]
        running = single(batcher, 0)
        await started(generator, 1)
        ghosts = [batcher.single(seed, None, 1.0, None, lambda: True) for seed in (1, 2)]
        with pytest.raises(Overloaded):
            single(batcher, 3)
        assert [type(one) for one in await asyncio.gather(*ghosts, return_exceptions=True)] == [ClientGone] * 2
        late = single(batcher, 3)
        generator.let_go()
        assert await asyncio.gather(running, late) == [0, 3]
        assert generator.runs == [[0], [3]]

    asyncio.run(scene())


def test_after_the_deadline_it_fails_whether_it_waits_or_is_being_made():
    async def scene() -> None:
        generator = Held()
        batcher = Batcher(generator, 100, deadline_seconds=0.3)  # type: ignore[arg-type]
        running = single(batcher, 0)
        await started(generator, 1)
        results = await asyncio.gather(running, single(batcher, 1), return_exceptions=True)
        assert [type(result) for result in results] == [DeadlineExceeded] * 2
        generator.let_go()
        assert await single(batcher, 2) == 2
        assert generator.runs == [[0], [2]]

    asyncio.run(scene())

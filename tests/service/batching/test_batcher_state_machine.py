"""A state machine compares the batcher with a simple model, in any order of submissions, failures and disconnections.

Every entry has seeds of its own. The test decides when a batch ends, so that it knows which entries wait and which run.
"""

import asyncio
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from seedmint.service.batching import batcher as batcher_module
from seedmint.service.batching.batcher import Batcher
from seedmint.service.batching.errors import ClientGone, DeadlineExceeded, Draining, GeneratorFailed, Overloaded

MAX_BATCH = 4
MAX_QUEUE = 6
MAX_SLOTS = MAX_QUEUE // MAX_BATCH


class Generator:
    """Returns 10 * z + label. Each run waits until the test releases it."""

    name = "model"
    id = ("model", "0")
    max_batch = MAX_BATCH
    batch_bytes = 8
    batch_seconds = 0.001

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.failing: set[int] = set()
        self.is_running = threading.Event()
        self._released = threading.Semaphore(0)

    def release(self, runs: int) -> None:
        self.is_running.clear()
        self._released.release(runs)

    def labels(self, seeds: np.ndarray) -> np.ndarray:
        return seeds % 3

    def noise(self, seeds: np.ndarray) -> np.ndarray:
        return seeds.astype(np.float32)

    def generate_from(self, z: np.ndarray, labels: np.ndarray, truncation: Any) -> np.ndarray:
        seeds = [int(value) for value in np.abs(z)]
        self.runs.append(seeds)
        self.is_running.set()
        assert self._released.acquire(timeout=60)
        if self.failing & set(seeds):
            raise RuntimeError("a failing seed")
        return 10 * z + labels


@dataclass
class Submitted:
    """What the model knows about one entry."""

    future: asyncio.Future[Any]
    seeds: list[int]
    expected: list[float]
    is_single: bool
    allowed: set[type[BaseException]] = field(default_factory=set)  # exceptions that may end the future
    must_not_run: bool = False
    is_disconnected: bool = False


class BatcherMachine(RuleBasedStateMachine):
    slots = Bundle("slots")

    @initialize()
    def start(self) -> None:
        # A batch on the event loop would wait for a release by the event loop.
        self.never_on_loop = mock.patch.object(batcher_module, "_INLINE_SECONDS", 0.0)
        self.never_on_loop.start()
        self.loop = asyncio.new_event_loop()
        self.generator = Generator()
        self.batcher = Batcher(self.generator, MAX_QUEUE)  # type: ignore[arg-type]
        self.submitted: list[Submitted] = []
        self.held: list[AbstractContextManager[Any]] = []
        self.next_seed = 1

    @rule(label=st.none() | st.integers(0, 2), fails=st.booleans())
    def submit_single(self, label: int | None, fails: bool) -> None:
        waiting = self.waiting_singles()
        seed = self.take_seeds(1, fails)[0]
        entry = Submitted(None, [seed], [10 * seed + (seed % 3 if label is None else label)], True)  # type: ignore[arg-type]

        async def submit() -> asyncio.Future[Any]:
            finish = lambda outputs, labels: outputs.tolist()  # noqa: E731
            return self.batcher.submit(seed, label, 1.0, finish, lambda: entry.is_disconnected)

        try:
            entry.future = self.loop.run_until_complete(submit())
        except Overloaded as error:
            assert error.limit == "queue"  # noqa: PT017  # only some submissions are refused
            assert waiting >= MAX_QUEUE
            return
        assert waiting < MAX_QUEUE
        self.add(entry, fails)

    @rule(count=st.integers(1, MAX_BATCH), label=st.none() | st.integers(0, 2), has_z=st.booleans())
    def submit_piece(self, count: int, label: int | None, has_z: bool) -> None:
        seeds = self.take_seeds(count, fails=False)
        labels = None if label is None else np.full(count, label)
        z = -np.array(seeds, np.float32) if has_z else None
        sign = -1 if has_z else 1
        expected = [10.0 * sign * seed + (seed % 3 if label is None else label) for seed in seeds]
        entry = Submitted(None, seeds, expected, False)  # type: ignore[arg-type]

        async def submit() -> asyncio.Future[Any]:
            return self.batcher.submit_piece(np.array(seeds), labels, 1.0, z, lambda: entry.is_disconnected)

        entry.future = self.loop.run_until_complete(submit())
        self.add(entry, fails=False)

    @rule(target=slots, client=st.sampled_from("ab"))
    def acquire_slot(self, client: str) -> Any:
        slot = self.batcher.acquire_slot(client)
        try:
            slot.__enter__()
        except Overloaded as error:
            assert error.limit in ("slots", "slots_of_client")  # noqa: PT017  # as above
            assert len(self.held) >= MAX_SLOTS
            return None
        assert len(self.held) < MAX_SLOTS
        self.held.append(slot)
        return slot

    @rule(slot=consumes(slots))
    def release_slot(self, slot: Any) -> None:
        if slot is not None:
            slot.__exit__(None, None, None)
            self.held.remove(slot)

    @precondition(lambda self: self.pending())
    @rule(index=st.integers(0, 19))
    def cancel(self, index: int) -> None:
        entry = self.pending()[index % len(self.pending())]
        entry.future.cancel()
        entry.allowed = {asyncio.CancelledError}
        entry.must_not_run = not self.has_run(entry)

    @precondition(lambda self: self.pending())
    @rule(index=st.integers(0, 19))
    def disconnect(self, index: int) -> None:
        entry = self.pending()[index % len(self.pending())]
        entry.is_disconnected = True
        entry.allowed.add(ClientGone)
        entry.must_not_run = not self.has_run(entry)

    @rule()
    def sweep(self) -> None:
        self.run_sweep()
        for entry in self.submitted:
            assert not entry.is_disconnected or entry.future.done()

    @rule()
    def exceed_the_deadline(self) -> None:
        pending = self.pending()
        for entry in pending:
            entry.allowed.add(DeadlineExceeded)
            entry.must_not_run = not self.has_run(entry)
        self.batcher._deadline_seconds = -1.0
        self.run_sweep()
        self.batcher._deadline_seconds = float("inf")
        assert all(entry.future.done() for entry in pending)

    @precondition(lambda self: self.generator.is_running.is_set())
    @rule()
    def end_run(self) -> None:
        self.generator.release(1)
        self.settle()

    @invariant()
    def sizes_match_the_model(self) -> None:
        self.settle()
        assert self.batcher.queue_size == self.waiting_singles()
        assert self.batcher.bulk_requests == len(self.held)

    @invariant()
    def nothing_runs_that_must_not(self) -> None:
        for entry in self.submitted:
            assert not (entry.must_not_run and self.has_run(entry))

    @invariant()
    def each_seed_runs_once_unless_its_batch_failed(self) -> None:
        assert all(1 <= len(run) <= MAX_BATCH for run in self.generator.runs)
        failed = {seed for run in self.generator.runs if self.generator.failing & set(run) for seed in run}
        seeds = [seed for run in self.generator.runs for seed in run]
        assert all(seeds.count(seed) <= (2 if seed in failed else 1) for seed in set(seeds))

    def teardown(self) -> None:
        async def close() -> None:
            waiting = [entry for entry in self.submitted if not self.has_run(entry) and not entry.future.done()]
            closing = asyncio.create_task(self.batcher.close())
            await asyncio.sleep(0)
            for entry in waiting:
                assert isinstance(entry.future.exception(), Draining)
                entry.must_not_run = True
            self.generator.release(1000)
            await asyncio.wait_for(closing, 60)
            await asyncio.sleep(0)

        for entry in self.submitted:
            entry.allowed.add(Draining)
        self.loop.run_until_complete(close())
        self.never_on_loop.stop()
        self.nothing_runs_that_must_not()
        self.each_seed_runs_once_unless_its_batch_failed()
        for entry in self.submitted:
            assert entry.future.done()
            self.check_outcome(entry)
        for slot in self.held:
            slot.__exit__(None, None, None)
        assert self.batcher.bulk_requests == self.batcher.queue_size == 0
        self.loop.close()

    def take_seeds(self, count: int, fails: bool) -> list[int]:
        seeds = list(range(self.next_seed, self.next_seed + count))
        self.next_seed += count
        if fails:
            self.generator.failing.update(seeds)
        return seeds

    def add(self, entry: Submitted, fails: bool) -> None:
        if fails:
            entry.allowed.add(GeneratorFailed)
        self.submitted.append(entry)
        self.settle()

    def run_sweep(self) -> None:
        async def sweep() -> None:
            if self.batcher._sweep_timer is not None:
                self.batcher._sweep_timer.cancel()
            self.batcher._sweep()

        self.loop.run_until_complete(sweep())

    def settle(self) -> None:
        """Wait until a run waits for its release, or nothing is queued, and all results are delivered."""

        async def wait() -> None:
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
                while self.batcher._queues.is_busy and not self.generator.is_running.is_set():
                    await asyncio.sleep(0.0005)
                await asyncio.sleep(0)

        self.loop.run_until_complete(wait())

    def pending(self) -> list[Submitted]:
        return [entry for entry in self.submitted if not entry.future.done()]

    def has_run(self, entry: Submitted) -> bool:
        return any(entry.seeds[0] in run for run in self.generator.runs)

    def waiting_singles(self) -> int:
        return sum(entry.is_single and not entry.future.done() and not self.has_run(entry) for entry in self.submitted)

    def check_outcome(self, entry: Submitted) -> None:
        if entry.future.cancelled():
            assert asyncio.CancelledError in entry.allowed
        elif (error := entry.future.exception()) is not None:
            assert type(error) in entry.allowed
        else:
            assert not self.generator.failing & set(entry.seeds)
            assert list(entry.future.result()) == entry.expected


TestBatcher = BatcherMachine.TestCase
TestBatcher.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)

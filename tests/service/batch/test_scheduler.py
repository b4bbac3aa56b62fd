"""The scheduler of the process pool, without processes."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.service.batch.engines.base import ATTEMPTS
from seedmint.service.batch.engines.messages import (
    ImagesWritten,
    MakeShard,
    NoMoreShards,
    ShardRecorded,
    ShardWritten,
    WorkerFailed,
)
from seedmint.service.batch.engines.scheduler import Scheduler
from seedmint.service.batch.progress import BatchProgress
from tests.service.batch.test_plan import plan


def test_a_worker_makes_one_shard_after_another():
    scheduler = Scheduler(plan("0-24", 10), [0, 2])
    assert scheduler.is_finished
    assert scheduler.assign(7) == MakeShard(0)
    assert scheduler.is_busy(7)
    assert not scheduler.is_finished
    assert scheduler.receive(7, ImagesWritten(4)) == BatchProgress(4)
    assert scheduler.receive(7, ShardWritten()) == BatchProgress(6)
    assert scheduler.assign(7) == MakeShard(2)
    assert scheduler.latest_shard(7) == 2
    assert scheduler.receive(7, ImagesWritten(1)) == BatchProgress(1)
    assert scheduler.receive(7, ShardRecorded()) == BatchProgress(0, 1)  # of shard 0
    assert scheduler.receive(7, ShardWritten()) == BatchProgress(4)
    assert scheduler.assign(7) == NoMoreShards()
    assert scheduler.is_busy(7)
    assert scheduler.receive(7, ShardRecorded()) == BatchProgress(0, 1)
    assert scheduler.is_finished


def test_the_shards_of_a_dead_worker_are_repeated():
    scheduler = Scheduler(plan("0-49", 10), range(3))
    scheduler.assign(0)
    scheduler.receive(0, ShardWritten())
    assert scheduler.assign(0) == MakeShard(1)
    scheduler.receive(0, ImagesWritten(3))
    assert scheduler.remove(0) == BatchProgress(-13)
    assert not scheduler.is_busy(0)
    assert {scheduler.assign(1), scheduler.assign(2)} == {MakeShard(0), MakeShard(1)}
    assert scheduler.assign(3) == MakeShard(2)
    assert scheduler.assign(4) == NoMoreShards()


def test_a_shard_has_a_limited_number_of_attempts():
    scheduler = Scheduler(plan("0-9", 10), [0])
    for worker in range(ATTEMPTS):
        assert scheduler.may_retry(0)
        assert scheduler.assign(worker) == MakeShard(0)
        scheduler.remove(worker)
    assert not scheduler.may_retry(0)


def test_the_error_of_a_worker_is_raised():
    scheduler = Scheduler(plan("0-9", 10), [0])
    scheduler.assign(0)
    with pytest.raises(ZeroDivisionError):
        scheduler.receive(0, WorkerFailed(ZeroDivisionError()))


class SimulatedWorker:
    """Sends the messages of a worker in order. Its earliest shard is written when there is a second or no other."""

    def __init__(self, scheduler: Scheduler, number: int) -> None:
        self.scheduler = scheduler
        self.number = number
        self.written: list[int] = []
        self.writing: int | None = None
        self.take()

    def take(self) -> None:
        message = self.scheduler.assign(self.number)
        self.writing = message.index if isinstance(message, MakeShard) else None

    def step(self, recorded: list[int]) -> BatchProgress:
        """Send the next message."""
        if self.written:
            recorded.append(self.written.pop())
            return self.scheduler.receive(self.number, ShardRecorded())
        assert self.writing is not None
        self.written.append(self.writing)
        event = self.scheduler.receive(self.number, ShardWritten())
        self.take()
        return event


@given(st.integers(1, 60), st.integers(1, 5), st.randoms(use_true_random=False))
def test_every_shard_is_recorded_once_while_workers_die(num_shards: int, num_workers: int, chance: random.Random):
    scheduler = Scheduler(plan(f"0-{num_shards * 10 - 1}", 10), range(num_shards))
    workers = [SimulatedWorker(scheduler, number) for number in range(num_workers)]
    recorded: list[int] = []
    events: list[BatchProgress] = []
    for number in itertools.count(num_workers):
        busy = [worker for worker in workers if scheduler.is_busy(worker.number)]
        if not busy:
            break
        worker = chance.choice(busy)
        if number < 200 and chance.random() < 0.05 and scheduler.may_retry(scheduler.latest_shard(worker.number)):
            workers.remove(worker)
            events.append(scheduler.remove(worker.number))
            workers.append(SimulatedWorker(scheduler, number))
        else:
            events.append(worker.step(recorded))
    assert scheduler.is_finished
    assert sum(event.images for event in events) == num_shards * 10
    assert sum(event.shards for event in events) == num_shards
    assert sorted(recorded) == list(range(num_shards))

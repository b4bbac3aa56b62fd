"""Limits that several processes share: no request is counted twice or not at all."""

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from seedmint.service.problems import Problem
from seedmint.service.server.rate_limiter import RateLimiter
from seedmint.service.server.shared_buckets import CLIENTS, LimitLeader, SharedBucket, SharedTable
from seedmint.service.server.token_bucket import Bucket
from seedmint.service.settings import read_settings
from tests.support.servers import PATIENCE

# Takes one token, and with all the other processes at the same time the rest one by one. Prints the number of tokens.
TAKER = """
import sys
from seedmint.service.server.shared_buckets import SharedBucket, SharedTable
table = SharedTable(int(sys.argv[1]), b"salt", lambda: 1000.0)
bucket = SharedBucket(table, table.hash_of("client"), 0, 1.0, (20000, 0))
taken = int(not bucket.consume(1))
print("ready", flush=True)
sys.stdin.readline()
while not bucket.consume(1):
    taken += 1
print(taken)
"""


class Receiver:
    """Receives the table as a worker does."""

    def send(self, message: dict[str, Any], file: int | None = None) -> None:
        assert file is not None
        self.message, self.file = message, os.dup(file)


Tables = Callable[[Callable[[], float]], SharedTable]


@pytest.fixture
def descriptor() -> Iterator[int]:
    leader, receiver = LimitLeader(), Receiver()
    leader.attach(receiver)
    yield receiver.file
    leader.close()


def test_processes_share_a_bucket(descriptor: int):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(descriptor)],
            pass_fds=[descriptor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    taken = [int(process.communicate(timeout=PATIENCE)[0]) for process in processes]
    assert sum(taken) == 20_000
    assert min(taken) > 0


def test_a_shared_bucket_equals_a_bucket_of_one_process(descriptor: int):
    now = [1000.0]
    table = SharedTable(descriptor, b"salt", lambda: now[0])
    shared, alone = SharedBucket(table, 7, 1, 0.5, (3, 10)), Bucket(0.5, 10, lambda: now[0])
    for step, tokens in [(0, 4), (1, 6), (0, 2), (3, 2), (100, 10), (0, 1), (1, 11), (2, 1)]:
        now[0] += step
        assert shared.consume(tokens) == alone.consume(tokens)
        shared.refund(tokens % 2)
        alone.refund(tokens % 2)
    assert shared.consume(11) == math.inf


def test_the_limiter_counts_in_the_table(descriptor: int):
    settings = read_settings({"SEEDMINT_REQUESTS_PER_SECOND": "2", "SEEDMINT_IMAGES_PER_MINUTE": "5"})
    limiters = [RateLimiter(settings), RateLimiter(settings)]
    for limiter in limiters:
        limiter.share(SharedTable(os.dup(descriptor), b"salt", lambda: 1000.0))
    one, two = (limiter.client("alice") for limiter in limiters)
    one.count_request()
    two.count_request()
    for client in (one, two):
        with pytest.raises(Problem):
            client.count_request()
    one.charge(3)
    with pytest.raises(Problem):
        two.charge(3)
    one.refund(3)
    two.charge(5)
    limiters[0].client("bob").count_request()


def test_a_full_table_replaces_the_client_with_the_oldest_request(descriptor: int):
    now = [0.0]
    table = SharedTable(descriptor, b"salt", lambda: now[0])
    for number in range(1, CLIENTS + 1):
        now[0] += 1
        SharedBucket(table, number, 0, 0.001, (1, 0)).consume(1)
    assert SharedBucket(table, CLIENTS, 0, 0.001, (1, 0)).consume(1) > 0  # still there
    SharedBucket(table, CLIENTS + 1, 0, 0.001, (1, 0)).consume(1)
    assert SharedBucket(table, CLIENTS, 0, 0.001, (1, 0)).consume(1) > 0
    assert SharedBucket(table, 1, 0, 0.001, (1, 0)).consume(1) == 0  # replaced: starts with a full bucket


def test_a_stopped_process_does_not_stop_the_others(descriptor: int):
    code = """
import sys, time
from seedmint.service.server.shared_buckets import SharedTable
table = SharedTable(int(sys.argv[1]), b"salt")
table.lock(7)
print("locked", flush=True)
sys.stdin.readline()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(descriptor)],
        pass_fds=[descriptor],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    table = SharedTable(descriptor, b"salt")
    assert not table.lock(7)
    bucket = SharedBucket(table, 7, 0, 1e-9, (1, 0))
    assert bucket.consume(1) == 0
    assert bucket.consume(1) > 0
    holder.kill()
    holder.communicate()
    assert table.lock(7)  # the kernel released the lock
    table.unlock(7)

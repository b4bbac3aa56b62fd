"""The engine of a cluster: each shard is a Ray task. What a lost worker or node had in hand, Ray gives to another."""

import logging
import os
import platform
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster begun here tells nobody of itself

import ray
from ray.exceptions import RayError

from seedmint.models.errors import UserError
from seedmint.service.batch.engines.base import ATTEMPTS, PoolError, Step, sendable
from seedmint.service.batch.formats import libraries
from seedmint.service.batch.job import open_content, read_planned
from seedmint.service.batch.plan import Plan, check_same
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator

_LOOK_SECONDS = 0.5  # between two looks for signals
_FAREWELL_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_OBJECT_STORE_BYTES = 128 << 20  # of a cluster begun here; it holds the generator


def run(path: Path, url: str, plan: Plan, shards: Iterable[int], workers: int | None, news: Callable[[Step], None]) -> None:
    """Make shards, on the cluster at RAY_ADDRESS, or else on one of this machine alone that lasts as long as the job.

    Args:
        path: the generator file; the cluster's nodes get its content from here, and Seedmint must be installed on them.
        url: the output; every node must reach it.
        shards: which, in any order.
        workers: tasks at once; None takes one for each processor of the cluster, of those too that join later.
        news: told how the work goes, a shard at a time.

    Raises:
        UserError, OSError: the first that a task met, after which all are ended. Shards with a record stay.
        PoolError: one shard has ended several workers.
    """
    content = read_planned(path, plan)
    waiting = iter(shards)
    pending: dict[Any, int] = {}  # references of tasks, and their shards
    with _signals_kept() as handle_signals:
        _connect(workers)
        try:
            held = ray.put(content)
            while True:
                handle_signals()
                for index in islice(waiting, max(0, (workers or _processors()) - len(pending))):
                    pending[_task.remote([held], url, plan, index)] = index
                if not pending:
                    return
                for ended in ray.wait(list(pending), timeout=_LOOK_SECONDS)[0]:
                    index = pending.pop(ended)
                    error = _outcome(ended, index)
                    if error is not None:
                        raise error
                    news(Step(plan.size(index), 1))
        finally:
            for task in pending:
                ray.cancel(task)
            if pending:
                ray.wait(list(pending), num_returns=len(pending), timeout=_FAREWELL_SECONDS)
            ray.shutdown()


def _connect(workers: int | None) -> None:
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_answers(address)
    own = {"num_cpus": workers, "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(address or "local", logging_level=logging.ERROR, log_to_driver=False, **({} if address else own))
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"RAY_ADDRESS {address}: {str(error).strip().splitlines()[0]}") from None


@contextmanager
def _signals_kept() -> Iterator[Callable[[], None]]:
    """Keep Ctrl-C and SIGTERM until the given function is called: within Ray, what a handler raises becomes Ray's error."""
    came: list[int] = []
    handed_on = False
    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def keep(number: int, frame: object) -> None:
        handler = before[number]
        if handed_on and callable(handler):  # the second does not wait
            handler(number, None)
        came.append(number)

    def handle() -> None:
        nonlocal handed_on
        for number in before:  # Ray sets some of its own when it connects
            signal.signal(number, keep)
        for number in came:
            handler = before[number]
            if callable(handler):
                handed_on = True
                handler(number, None)

    try:
        handle()
        yield handle
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_answers(address: str) -> None:
    """Ray itself tries for many minutes."""
    place = urlsplit(address if "//" in address else f"//{address}")
    try:
        if place.port is None:  # "auto", of which Ray knows at once whether it is there
            return
        socket.create_connection((place.hostname, place.port), _ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise UserError(f"RAY_ADDRESS {address}: no cluster answers there: {error}") from None


def _processors() -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 0)))


def _outcome(task: Any, index: int) -> Exception | None:
    try:
        error: Exception | None = ray.get(task)
    except RayError as lost:
        told = str(lost).strip().splitlines()[-1]
        return PoolError(f"shard {index} cannot be made on the cluster; those that are done stay: {told}")
    return error


def _make(held: list[Any], url: str, plan: Plan, index: int) -> Exception | None:
    """A shard, or why there is none. Held in a list, the generator's content is not fetched before it is asked for."""
    try:
        output = open_output(url)
        if plan.digest not in _opened:
            here = plan.model_copy(update={"libraries": libraries(plan.format, plan.card)})
            check_same(plan, here, f"node {platform.node()}: --out {url}")
            _opened.clear()
            _opened[plan.digest] = open_content(ray.get(held[0]), plan)
        make_shard(_opened[plan.digest], plan, index, output)
    except Exception as error:
        return sendable(error, url)
    return None


_opened: dict[str, Generator] = {}  # by the plan's digest: a worker process makes many shards
_task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1, scheduling_strategy="SPREAD")(_make)

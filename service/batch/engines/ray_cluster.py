"""The Ray engine: each shard is a Ray task. When a worker or node dies, Ray runs its task elsewhere."""

import logging
import os
import platform
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster started here must not report usage

import ray
from ray.exceptions import RayError

from seedmint.models.errors import UserError
from seedmint.service.batch.engines.base import ATTEMPTS, WorkerDiedError, picklable_error
from seedmint.service.batch.job import open_generator_content, read_plan_generator
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.plan_comparison import check_toolchain
from seedmint.service.batch.progress import BatchProgress, OnProgress
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator

_SIGNAL_POLL_SECONDS = 0.5
_CANCEL_SECONDS = 5.0
_CONNECT_SECONDS = 10.0
_OBJECT_STORE_BYTES = 128 << 20  # of a cluster started here; it holds the generator


def run(
    paths: Sequence[Path], url: str, plan: Plan, shards: Iterable[int], workers: int | None, on_progress: OnProgress
) -> None:
    """Make shards on the cluster at RAY_ADDRESS, or on a new local cluster that ends with the job.

    Args:
        paths: The generator files, in the order of the plan. Nodes receive their content through Ray; Seedmint must be
            installed on them.
        url: The output. Every node must be able to reach it.
        plan: The plan of the job.
        shards: Indices of the shards to make, in any order.
        workers: Number of tasks at the same time; None for one task on each processor of the cluster.
        on_progress: Receives an event for each shard.

    Raises:
        UserError: The first error of a task. All tasks are cancelled; finished shards stay.
        OSError: The same.
        WorkerDiedError: Several workers died on the same shard.
    """
    contents = [read_plan_generator(path, plan, index) for index, path in enumerate(paths)]
    waiting = iter(shards)
    pending: dict[Any, int] = {}  # task -> index of its shard
    with _deferred_signals() as handle_signals:
        _connect(workers)
        try:
            references = [ray.put(content) for content in contents]
            while True:
                handle_signals()
                for index in islice(waiting, max(0, (workers or _num_processors()) - len(pending))):
                    pending[_make_shard_task.remote(references, url, plan, index)] = index
                if not pending:
                    return
                for task in ray.wait(list(pending), timeout=_SIGNAL_POLL_SECONDS)[0]:
                    index = pending.pop(task)
                    error = _error_of(task, index)
                    if error is not None:
                        raise error
                    on_progress(BatchProgress(plan.size(index), 1))
        except (RayError, ConnectionError) as ray_error:  # `_error_of` handles the errors of single tasks
            raise _cluster_error(os.environ.get("RAY_ADDRESS"), _first_line(ray_error)) from None
        finally:
            with suppress(RayError, ConnectionError):  # the cluster may be gone
                _cancel(list(pending))
            ray.shutdown()


def _cancel(tasks: list[Any]) -> None:
    for task in tasks:
        ray.cancel(task)
    if tasks:
        ray.wait(tasks, num_returns=len(tasks), timeout=_CANCEL_SECONDS)


def _connect(workers: int | None) -> None:
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_reachable(address)
    local = {"num_cpus": workers, "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(address or "local", logging_level=logging.ERROR, log_to_driver=False, **({} if address else local))
    except (OSError, RuntimeError, ValueError, RayError) as error:  # OSError: also a time-out
        raise _cluster_error(address, _first_line(error)) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


def _cluster_error(address: str | None, cause: str) -> UserError:
    cluster = f"the Ray cluster at RAY_ADDRESS {address}" if address else "the local Ray cluster"
    return UserError(f"cannot reach {cluster}: {cause}", reason="cluster_unreachable")


@contextmanager
def _deferred_signals() -> Iterator[Callable[[], None]]:
    """Defer Ctrl-C and SIGTERM until the returned function is called: an exception inside Ray would become Ray's own error."""
    received: list[int] = []
    is_handling = False
    handlers = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def defer(number: int, frame: object) -> None:
        handler = handlers[number]
        if is_handling and callable(handler):  # a second signal acts at once
            handler(number, None)
        received.append(number)

    def handle() -> None:
        nonlocal is_handling
        for number in handlers:  # Ray replaces the handlers when it connects
            signal.signal(number, defer)
        for number in received:
            handler = handlers[number]
            if callable(handler):
                is_handling = True
                handler(number, None)

    try:
        handle()
        yield handle
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _check_reachable(address: str) -> None:
    """Fail within seconds if nothing listens at an address. Ray would try for many minutes."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    try:
        if parts.port is None:  # "auto": Ray itself fails at once
            return
        socket.create_connection((parts.hostname, parts.port), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _cluster_error(address, str(error)) from None


def _num_processors() -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 0)))


def _error_of(task: Any, index: int) -> Exception | None:
    try:
        error: Exception | None = ray.get(task)
    except RayError as ray_error:
        cause = str(ray_error).strip().splitlines()[-1]
        return WorkerDiedError(f"the cluster cannot make shard {index}: {cause}. Finished shards stay", index)
    return error


def _make_shard(references: list[Any], url: str, plan: Plan, index: int) -> Exception | None:
    """Make a shard. Returns the error, if there is one. Ray does not fetch the contents of references inside a list."""
    try:
        output, of_plan = open_output(url), plan.part_of(index).generator
        if plan.digest not in _generators:
            _generators.clear()
            _generators[plan.digest] = {}
        opened = _generators[plan.digest]
        if of_plan not in opened:
            generator = open_generator_content(ray.get(references[of_plan]), plan)
            check_toolchain(plan, of_plan, generator, f"node {platform.node()}: {url}")
            opened[of_plan] = generator
        make_shard(opened[of_plan], plan, index, output)
    except Exception as error:
        return picklable_error(error, url)
    return None


_generators: dict[str, dict[int, Generator]] = {}  # by digest of the plan and index: a worker process makes many shards
_make_shard_task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1, scheduling_strategy="SPREAD")(_make_shard)

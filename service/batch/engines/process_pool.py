"""The local engine: worker processes, each with its own generator, that ask for one shard after another.

Each worker has a pipe of its own and shares no lock, so that one that is killed at any moment harms nobody: another takes its
place, and its shards are made again: at most the one that it was making, and the one before, which it was syncing or sending.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from seedmint.service.batch.engines.base import ATTEMPTS, PoolError, Step, sendable
from seedmint.service.batch.job import open_planned
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.records import Record
from seedmint.service.batch.shard import write_shard
from seedmint.service.batch.storage.resolve import open_output

_FAREWELL_SECONDS = 5.0
_TOLD_SECONDS = 0.1  # between two news of one shard: each costs this process, too, time that a worker might use
_THREADS = 2  # that generate, where there are more processors than workers; more workers are better than more threads
_SWITCH_SECONDS = 0.0002  # between threads: with Python's 5 ms, a generator waits as long after each batch as the batch took
_WRITTEN, _DONE = "written", "done"  # what a worker says of its latest and of its earliest shard


@dataclass(frozen=True)
class _Failure:
    error: Exception


class _Worker:
    """A process, the parent's end of its pipe, and what it is at.

    Attributes:
        told: the shards in hand, the latest last, and the number of images told of each.
    """

    def __init__(self, path: Path, url: str, plan: Plan, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, path, url, plan, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.told: dict[int, int] = {}

    @property
    def latest(self) -> int:
        """The shard that it makes, or if there is no more to make, puts in its place."""
        return next(reversed(self.told))

    def end(self) -> None:
        """Ask it to drop what it is at, and go."""
        if self.process.is_alive():
            self.process.terminate()

    def join(self) -> None:
        self.process.join(_FAREWELL_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def run(
    path: Path, url: str, plan: Plan, shards: Iterable[int], workers: int, news: Callable[[Step], None], threads: int = 0
) -> None:
    """Make shards, by so many workers.

    Args:
        path: the generator file; each worker holds it against the plan.
        url: the output.
        shards: which, in any order.
        news: told how the work goes.
        threads: that generate in each worker beside the one that writes; with 0 a worker takes one processor.

    Raises:
        UserError, OSError: the first that a worker met, after which all are ended. Shards with a record stay.
        PoolError: one shard has ended several workers.
    """
    waiting = iter(shards)
    again: list[int] = []
    lost: dict[int, int] = {}
    pool: list[_Worker] = []

    def give(worker: _Worker) -> None:
        shard = again.pop() if again else next(waiting, None)
        if shard is not None:
            worker.told[shard] = 0
        with suppress(BrokenPipeError, ConnectionResetError):  # it has just ended, which the next wait tells
            worker.pipe.send(shard)

    def begin() -> None:
        pool.append(_Worker(path, url, plan, threads))
        give(pool[-1])

    try:
        for _ in range(workers):
            begin()
            if not pool[-1].told:
                break
        while any(worker.told for worker in pool):
            busy = {worker.pipe: worker for worker in pool if worker.told}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]  # of the pipes that were given
                shard = worker.latest
                try:
                    said = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    news(Step(-sum(worker.told.values())))
                    worker.join()
                    pool.remove(worker)
                    lost[shard] = lost.get(shard, 0) + 1
                    if lost[shard] == ATTEMPTS:
                        raise PoolError(_told(worker)) from None
                    again += worker.told
                    begin()
                    continue
                match said:
                    case _Failure(error=error):
                        raise error
                    case str() if said == _DONE:
                        del worker.told[next(iter(worker.told))]
                        news(Step(0, 1))
                    case str():
                        rest = plan.size(shard) - worker.told[shard]
                        worker.told[shard] += rest
                        news(Step(rest))
                        give(worker)
                    case images:
                        worker.told[shard] += images
                        news(Step(images))
    finally:
        for worker in pool:
            worker.end()
        for worker in pool:
            worker.join()


def _told(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    how = f"by signal {-code}" if code < 0 else f"with status {code}"
    return (
        f"shard {worker.latest} has ended {ATTEMPTS} workers, the last {how}: if memory is short, take fewer --workers; "
        f"the shards that are done stay"
    )


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spare_threads(workers: int) -> int:
    """Threads for each of so many workers that are fastest here, if they may have the machine for themselves."""
    return _THREADS if processors() > workers else 0


def _work(pipe: Connection, path: Path, url: str, plan: Plan, threads: int) -> None:
    """A worker's life: until it is told that there is no more to do, or its parent is gone."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(EOFError, BrokenPipeError, ConnectionResetError), ThreadPoolExecutor(1, "finishing") as finisher:
        try:
            generator = open_planned(path, plan)
            output = open_output(url)
            teller = _Teller(pipe)
            while (index := pipe.recv()) is not None:
                finish = write_shard(generator, plan, index, output, teller, threads)
                teller.await_finished()
                teller.written(finisher.submit(finish))
            teller.await_finished()
        except Exception as error:
            pipe.send(_Failure(sendable(error, url)))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # raised while the interpreter ends, an exit would be told with a traceback


class _Teller:
    """What a worker says: of the images that it writes, and of the shard before, which another thread finishes meanwhile."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._finishing: Future[Record] | None = None
        self._images = 0
        self._told = 0.0

    def __call__(self, images: int) -> None:
        self._images += images
        if self._finishing is not None and self._finishing.done():
            self.await_finished()
        if time.monotonic() - self._told >= _TOLD_SECONDS:
            self._pipe.send(self._images)
            self._images, self._told = 0, time.monotonic()

    def written(self, finishing: "Future[Record]") -> None:
        self._finishing, self._images = finishing, 0
        self._pipe.send(_WRITTEN)

    def await_finished(self) -> None:
        """Raises whatever befell the shard before, if there is one."""
        if self._finishing is not None:
            self._finishing.result()
            self._finishing = None
            self._pipe.send(_DONE)

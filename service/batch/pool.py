"""The local engine: worker processes, each with its own generator, that ask for one shard after another.

Each worker has a pipe of its own and shares no lock, so that one that is killed at any moment harms nobody: another takes its
place, and its shard is made again.
"""

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from models.errors import UserError
from service.batch.job import open_planned
from service.batch.output import open_output
from service.batch.plan import Plan
from service.batch.shard import make_shard

ATTEMPTS = 5  # workers that one shard may end before the job gives up
_FAREWELL_SECONDS = 5.0
SWITCH_SECONDS = 0.0002  # between threads: with Python's 5 ms, a generator waits as long after each batch as the batch took


class PoolError(UserError):
    """Workers end, again and again, without saying why."""


@dataclass(frozen=True)
class Step:
    """News of a job.

    Attributes:
        images: images made since the last news; negative when a worker ended, and its part of a shard is lost.
        shards: shards that were finished, 0 or 1.
    """

    images: int
    shards: int = 0


@dataclass(frozen=True)
class _Failure:
    error: Exception


class _Worker:
    """A process, the parent's end of its pipe, and what it is at."""

    def __init__(self, path: Path, url: str, plan: Plan) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, path, url, plan), daemon=True)
        self.process.start()
        theirs.close()
        self.shard: int | None = None
        self.made = 0

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


def run(path: Path, url: str, plan: Plan, shards: Iterable[int], workers: int, news: Callable[[Step], None]) -> None:
    """Make shards, by so many workers.

    Args:
        path: the generator file; each worker holds it against the plan.
        url: the output.
        shards: which, in any order.
        news: told how the work goes.

    Raises:
        UserError, OSError: the first that a worker met, after which all are ended. Shards with a record stay.
        PoolError: one shard has ended several workers.
    """
    waiting = iter(shards)
    again: list[int] = []
    lost: dict[int | None, int] = {}
    pool: list[_Worker] = []

    def give(worker: _Worker) -> None:
        worker.made = 0
        worker.shard = again.pop() if again else next(waiting, None)
        with suppress(BrokenPipeError, ConnectionResetError):  # it has just ended, which the next wait tells
            worker.pipe.send(worker.shard)

    def begin() -> None:
        pool.append(_Worker(path, url, plan))
        give(pool[-1])

    try:
        for _ in range(workers):
            begin()
            if pool[-1].shard is None:
                break
        while any(worker.shard is not None for worker in pool):
            busy = {worker.pipe: worker for worker in pool if worker.shard is not None}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]  # of the pipes that were given
                try:
                    said = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    assert worker.shard is not None
                    news(Step(-worker.made))
                    worker.join()
                    pool.remove(worker)
                    lost[worker.shard] = lost.get(worker.shard, 0) + 1
                    if lost[worker.shard] == ATTEMPTS:
                        raise PoolError(_told(worker)) from None
                    again.append(worker.shard)
                    begin()
                    continue
                if isinstance(said, _Failure):
                    raise said.error
                if said is None:
                    news(Step(plan.size(worker.shard or 0) - worker.made, 1))
                    give(worker)
                else:
                    worker.made += said
                    news(Step(said))
    finally:
        for worker in pool:
            worker.end()
        for worker in pool:
            worker.join()


def _told(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    how = f"by signal {-code}" if code < 0 else f"with status {code}"
    return (
        f"shard {worker.shard} has ended {ATTEMPTS} workers, the last {how}: if memory is short, take fewer --workers; "
        f"the shards that are done stay"
    )


def _work(pipe: Connection, path: Path, url: str, plan: Plan) -> None:
    """A worker's life: until it is told that there is no more to do, or its parent is gone."""
    sys.setswitchinterval(SWITCH_SECONDS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            generator = open_planned(path, plan)
            output = open_output(url)
            while (index := pipe.recv()) is not None:
                make_shard(generator, plan, index, output, pipe.send)
                pipe.send(None)
        except Exception as error:
            pipe.send(_Failure(sendable(error, url)))


def sendable(error: Exception, url: str) -> Exception:
    """An error as the parent can have it: what libraries add to theirs may not go through a pipe."""
    match error:
        case UserError():
            return UserError(str(error))
        case OSError(errno=int()):
            return OSError(error.errno, error.strerror, error.filename or url)
        case OSError():
            return OSError(str(error))
        case _:
            return RuntimeError("".join(traceback.format_exception(error)))

"""The local engine: worker processes, each with its own generator.

Each worker has its own pipe, and workers share no lock. A worker that is killed at any time therefore harms no other worker.
Another worker replaces it and makes its shards again: at most the shard that it wrote and the shard that it synced or uploaded.
"""

import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType

from seedmint.models.runtime.processors import num_processors
from seedmint.service.batch.engines.base import ATTEMPTS, WorkerDiedError
from seedmint.service.batch.engines.messages import FromWorker, ShardWritten
from seedmint.service.batch.engines.scheduler import Scheduler
from seedmint.service.batch.engines.worker import STOP_SIGNALS, run_worker
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.progress import OnProgress

_EXIT_SECONDS = 5.0
_THREADS = 2  # for each worker, if there are more processors than workers; more workers are faster than more threads


@contextmanager
def _deferred_signals() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM to the end of the block, here and in processes that start in the block.

    Such a process inherits the blocked signals. Otherwise Ctrl-C during its imports would print a traceback. A worker unblocks
    the signals when it can handle them. In this process, blocking is not enough: the system may deliver a signal to another
    thread, and Python then calls the handler in the main thread.
    """
    received: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in STOP_SIGNALS if is_main}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    for deferred in handlers:
        signal.signal(deferred, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for arrived in received:
            signal.raise_signal(arrived)


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Hide the main module while a process starts: `spawn` would run the program of the user again in each worker.

    A program may therefore start a job without `if __name__ == "__main__":`. Workers need no object of the main module.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class _Worker:
    """A worker process and the parent's end of its pipe."""

    def __init__(self, number: int, paths: Sequence[Path], url: str, plan: Plan, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.number = number
        self.pipe, child_pipe = context.Pipe()
        self.process = context.Process(target=run_worker, args=(child_pipe, paths, url, plan, threads), daemon=True)
        with _without_main_module():
            self.process.start()
        child_pipe.close()

    def receive(self) -> FromWorker | None:
        """Return the next message, or None if the process has died."""
        try:
            message: FromWorker = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return None
        return message

    def terminate(self) -> None:
        if self.process.is_alive():
            self.process.terminate()

    def join(self) -> None:
        self.process.join(_EXIT_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


class _Pool:
    """The worker processes of one run."""

    def __init__(
        self, paths: Sequence[Path], url: str, plan: Plan, scheduler: Scheduler, on_progress: OnProgress, threads: int
    ) -> None:
        self._worker_arguments = paths, url, plan, threads
        self._scheduler = scheduler
        self._on_progress = on_progress
        self._workers: list[_Worker] = []
        self._num_started = 0

    def start_workers(self, count: int) -> None:
        """Start workers, but no more than there are shards."""
        for _ in range(count):
            if not self._start_worker():
                break

    def handle_messages(self) -> None:
        """Wait for messages or deaths of workers, and handle them."""
        busy = {worker.pipe: worker for worker in self._workers if self._scheduler.is_busy(worker.number)}
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]  # `wait` returns the pipes it was given
            message = worker.receive()
            if message is None:
                self._replace(worker)
                continue
            self._on_progress(self._scheduler.receive(worker.number, message))
            if isinstance(message, ShardWritten):
                self._assign(worker)

    def close(self) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()

    def _start_worker(self) -> bool:
        """Start a worker and assign a shard. Return whether there was a shard."""
        resource_tracker.ensure_running()  # its start would unblock the signals
        with _deferred_signals():  # an exception of a handler here would leave a process that nobody stops
            worker = _Worker(self._num_started, *self._worker_arguments)
            self._num_started += 1
            self._workers.append(worker)
        self._assign(worker)
        return self._scheduler.is_busy(worker.number)

    def _assign(self, worker: _Worker) -> None:
        message = self._scheduler.assign(worker.number)
        with suppress(BrokenPipeError, ConnectionResetError):  # the worker has just died; the next wait reports it
            worker.pipe.send(message)

    def _replace(self, worker: _Worker) -> None:
        """Start another worker for one that has died.

        Raises:
            WorkerDiedError: Too many workers have died on the same shard.
        """
        index = self._scheduler.latest_shard(worker.number)
        self._on_progress(self._scheduler.remove(worker.number))
        worker.join()
        self._workers.remove(worker)
        if not self._scheduler.may_retry(index):
            code = worker.process.exitcode or 0
            cause = f"by signal {-code}" if code < 0 else f"with status {code}"
            raise WorkerDiedError(
                f"{ATTEMPTS} workers died on shard {index}, the last {cause}: if memory is short, use fewer workers. "
                f"Finished shards stay",
                index,
                code,
            )
        self._start_worker()


def run(
    paths: Sequence[Path], url: str, plan: Plan, shards: Iterable[int], workers: int, on_progress: OnProgress, threads: int = 0
) -> None:
    """Make shards with worker processes.

    Args:
        paths: The generator files, in the order of the plan. Each worker checks them against the plan.
        url: The output.
        plan: The plan of the job.
        shards: Indices of the shards to make, in any order.
        workers: Number of processes.
        on_progress: Receives the progress.
        threads: Threads of each worker that generate while its main thread writes. With 0 a worker uses one processor.

    Raises:
        UserError: The first error of a worker. All workers are stopped; finished shards stay.
        OSError: The same.
        WorkerDiedError: Several workers died on the same shard.
    """
    scheduler = Scheduler(plan, shards)
    pool = _Pool(paths, url, plan, scheduler, on_progress, threads)
    try:
        pool.start_workers(workers)
        while not scheduler.is_finished:
            pool.handle_messages()
    finally:
        pool.close()


def spare_threads(workers: int) -> int:
    """Return the fastest number of generator threads for each worker, if the job has the machine to itself.

    Args:
        workers: Number of worker processes.
    """
    return _THREADS if num_processors() > workers else 0

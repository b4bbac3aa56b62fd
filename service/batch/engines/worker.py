"""A worker process of the process pool: makes one shard after another until there are no more."""

import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from seedmint.service.batch.engines.base import picklable_error
from seedmint.service.batch.engines.messages import (
    FromWorker,
    ImagesWritten,
    MakeShard,
    ShardRecorded,
    ShardWritten,
    ToWorker,
    WorkerFailed,
)
from seedmint.service.batch.job import ShardGenerators, read_plan_generator
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.progress import BatchProgress
from seedmint.service.batch.records import Record
from seedmint.service.batch.shard import write_shard
from seedmint.service.batch.storage.resolve import open_output

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PROGRESS_SECONDS = 0.1  # between two progress messages of one shard: each message also takes time of the parent process
_SWITCH_SECONDS = 0.0002  # Python's default of 5 ms makes generator threads wait as long as a batch takes


def run_worker(pipe: Connection, paths: Sequence[Path], url: str, plan: Plan, threads: int) -> None:
    """Make shards until the parent sends `NoMoreShards` or dies.

    Args:
        pipe: To the parent.
        paths: The generator files, in the order of the plan.
        url: The output.
        plan: The plan of the job.
        threads: Threads that generate while the main thread writes.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # the parent has blocked them for the start
    with suppress(EOFError, BrokenPipeError, ConnectionResetError), ThreadPoolExecutor(1, "finishing") as finisher:
        try:
            generators = ShardGenerators(plan, lambda index: read_plan_generator(paths[index], plan, index))
            output = open_output(url)
            reporter = _Reporter(pipe)
            while isinstance(message := _receive(pipe), MakeShard):
                generator = generators.of_shard(message.index)
                finish = write_shard(generator, plan, message.index, output, reporter.on_progress, threads)
                reporter.wait_until_recorded()
                reporter.shard_written(finisher.submit(finish))
            reporter.wait_until_recorded()
        except Exception as error:
            pipe.send(WorkerFailed(picklable_error(error, url)))
    # An exit that SIGTERM raises while the interpreter ends would print a traceback.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _receive(pipe: Connection) -> ToWorker:
    message: ToWorker = pipe.recv()
    return message


class _Reporter:
    """Sends progress to the parent, for the shard that is written and for the shard before, which another thread finishes."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._finishing: Future[Record] | None = None
        self._unsent = 0
        self._last_sent = 0.0

    def on_progress(self, event: BatchProgress) -> None:
        self._unsent += event.images
        if self._finishing is not None and self._finishing.done():
            self.wait_until_recorded()
        if time.monotonic() - self._last_sent >= _PROGRESS_SECONDS:
            self._send(ImagesWritten(self._unsent))
            self._unsent, self._last_sent = 0, time.monotonic()

    def shard_written(self, finishing: "Future[Record]") -> None:
        self._finishing, self._unsent = finishing, 0
        self._send(ShardWritten())

    def wait_until_recorded(self) -> None:
        """Wait for the shard before, if there is one. Raises its error."""
        if self._finishing is not None:
            self._finishing.result()
            self._finishing = None
            self._send(ShardRecorded())

    def _send(self, message: FromWorker) -> None:
        self._pipe.send(message)

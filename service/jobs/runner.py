"""Runs the jobs that wait, each in a process of its own, beside the service. Of all workers of a server, one does so."""

import fcntl
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO

from seedmint.models.errors import UserError
from seedmint.service.batch.plan import Plan
from seedmint.service.jobs.process import BUSY
from seedmint.service.jobs.progress import Progress, write_progress
from seedmint.service.jobs.store import STATES, Note, State, Store
from seedmint.service.settings import Settings
from seedmint.service.telemetry import metrics

_LOG = logging.getLogger("seedmint")
_ROOT = Path(__file__).parents[3]
_ATTEMPTS = 3  # of processes that end without a word
_STOP_SECONDS = 5.0  # for a process to end its workers and go
_WAIT_SECONDS = 5.0  # before a job is tried again


class _Process:
    """One job's process, which ends when its standard input does."""

    def __init__(self, plan: Plan, images: int, generator: Path, url: str, workers: int, progress: Path) -> None:
        """`images`: those there are already."""
        self.plan = plan
        self.images = images
        self.progress = progress
        self._ends: float | None = None
        write_progress(progress, Progress())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "seedmint.service.jobs.process", url, str(generator), str(workers), str(progress)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def poll(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to end; who asks again after a while ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._ends = self._ends or time.monotonic() + _STOP_SECONDS
        if time.monotonic() > self._ends:
            self._process.kill()

    @property
    def stopping(self) -> bool:
        return self._ends is not None

    def wait(self) -> None:
        """For its end, which comes."""
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """What it has printed. Only when it has ended."""
        assert self._process.stdout is not None
        with self._process.stdout as out:
            return out.read().strip()


class Runner:
    """Looks after the jobs of a store. Blocking: not for the event loop."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._leading: IO[bytes] | None = None
        self._running: dict[str, _Process] = {}
        self._lost: Counter[str] = Counter()
        self._again: dict[str, float] = {}  # not before
        self._guard = threading.Lock()
        self._closed = False

    def look(self) -> None:
        """One turn: what has ended is noted, what is not wanted is stopped, what waits is begun, if there is room.

        Raises:
            UserError, OSError: the jobs cannot be read or written.
        """
        with self._guard:
            if self._closed or not self._leads():
                return
            for job, process in list(self._running.items()):
                status = process.poll()
                self._count(job, process)
                if status is not None:
                    del self._running[job]
                    process.progress.unlink(missing_ok=True)
                    self._ended(job, process, status)
            notes = self._store.notes()
            for job, process in self._running.items():
                if job not in notes or notes[job].state != "queued":
                    process.stop()
            self._begin(notes)
            self._show(notes)

    def close(self) -> None:
        """End what runs; it goes on when a runner looks again."""
        self._closed = True
        with self._guard:
            for process in self._running.values():
                process.stop()
            for process in self._running.values():
                process.wait()
                process.progress.unlink(missing_ok=True)
            if self._leading is not None:
                self._leading.close()

    def _leads(self) -> bool:
        """Whether this process is the one to run jobs. When it dies, another will be."""
        if self._leading is None:
            self._store.prepare()
            file = (self._store.scratch / "runner.lock").open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._leading = file
            for left in self._store.scratch.glob("*.json"):  # by one that was killed; its processes end by themselves
                left.unlink(missing_ok=True)
        return True

    def _begin(self, notes: dict[str, Note]) -> None:
        now = time.monotonic()
        waiting = [
            job
            for job, note in sorted(notes.items(), key=lambda item: item[1].submitted)
            if note.state == "queued" and job not in self._running and self._again.get(job, 0) <= now
        ]
        for job in waiting[: max(0, self._settings.max_jobs - len(self._running))]:
            try:
                plan = self._store.plan(job)
            except UserError as error:
                self._fail(job, self._store.said(error))
                continue
            if self._closed:
                continue
            if plan is None:
                self._fail(job, "its folder has vanished: submit it again")
                continue
            generator = self._settings.models / f"{plan.card.name}.onnx"
            url, progress = self._store.output(job).url, self._store.progress_file(job)
            images = self._store.recorded(job, plan)
            self._running[job] = _Process(plan, images, generator, url, self._settings.job_workers, progress)
            _LOG.info("job %s: begun", job)

    def _ended(self, job: str, process: _Process, status: int) -> None:
        said = process.last_words()
        if status == 0:
            self._store.settle(job, size=int(said.rpartition("\n")[2]))
            self._lost.pop(job, None)
            _LOG.info("job %s: done", job)
        elif process.stopping:
            _LOG.info("job %s: stopped", job)
        elif status == BUSY:
            self._again[job] = time.monotonic() + self._settings.watch_seconds
        elif status == 1 and said:
            self._fail(job, said)
        else:
            how = f"by signal {-status}" if status < 0 else f"with status {status}"
            _LOG.error("job %s: its process ended %s", job, how)
            self._again[job] = time.monotonic() + _WAIT_SECONDS
            self._lost[job] += 1
            if self._lost[job] >= _ATTEMPTS:
                del self._lost[job]
                self._fail(job, f"its process has ended {_ATTEMPTS} times without a word, the last {how}")

    def _fail(self, job: str, error: str) -> None:
        self._again[job] = time.monotonic() + _WAIT_SECONDS  # should the note not be written, it would be begun at once
        _LOG.error("job %s: failed: %s", job, error)
        self._store.settle(job, error)

    def _count(self, job: str, process: _Process) -> None:
        """Let the metrics know what was made since the last look."""
        images = self._store.recorded(job, process.plan)
        if images > process.images:
            metrics.count_job_images(process.plan.card.name, images - process.images)
            process.images = images

    def _show(self, notes: dict[str, Note]) -> None:
        states: Counter[State] = Counter(note.state for note in notes.values())
        running = sum(not process.stopping for process in self._running.values())
        states["running"], states["queued"] = running, states["queued"] - running
        for state in STATES:
            metrics.show_jobs(state, states[state])

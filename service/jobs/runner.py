"""Runs queued jobs, each in its own process. One worker of a server runs all jobs."""

import fcntl
import logging
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO

from seedmint.models.errors import UserError
from seedmint.service.batch.plan_generator import PlanGenerator
from seedmint.service.jobs.job_process import JobProcess
from seedmint.service.jobs.job_record import STATES, JobRecord, State
from seedmint.service.jobs.process import BUSY
from seedmint.service.jobs.store import JobStore
from seedmint.service.places.lookup import local_file
from seedmint.service.settings import Settings
from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.logs import log_job

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 3  # number of processes that end without an error text until a job fails
_RETRY_SECONDS = 5.0  # before a job is started again


class JobRunner:
    """Starts and stops the processes of a store's jobs. Blocks, so do not call it on the event loop."""

    def __init__(self, store: JobStore, settings: Settings) -> None:
        """
        Args:
            store: The jobs.
            settings: The settings of the service.
        """
        self._store = store
        self._settings = settings
        self._leader_lock: IO[bytes] | None = None
        self._running: dict[str, JobProcess] = {}
        self._silent_ends: Counter[str] = Counter()
        self._retry_times: dict[str, float] = {}
        self._guard = threading.Lock()
        self._is_closed = False

    def update(self) -> None:
        """Record the jobs that have ended, stop the cancelled jobs and start queued jobs.

        Raises:
            UserError: The jobs are not readable or writable.
            OSError: The same.
        """
        with self._guard:
            if self._is_closed or not self._is_leader():
                return
            for job, process in list(self._running.items()):
                status = process.poll()
                self._count_images(job, process)
                if status is not None:
                    del self._running[job]
                    process.progress.unlink(missing_ok=True)
                    self._handle_end(job, process, status)
            records = self._store.records()
            for job, process in self._running.items():
                if job not in records or records[job].state != "queued":
                    process.stop()
            self._start_queued(records)
            self._update_gauges(records)

    def close(self) -> None:
        """Stop all processes. Another runner resumes their jobs."""
        self._is_closed = True
        with self._guard:
            for process in self._running.values():
                process.stop()
            for process in self._running.values():
                process.wait()
                process.progress.unlink(missing_ok=True)
            if self._leader_lock is not None:
                self._leader_lock.close()

    def _is_leader(self) -> bool:
        """Return whether this process runs the jobs. When the leader dies, another process becomes the leader."""
        if self._leader_lock is None:
            self._store.prepare()
            file = (self._store.scratch / "runner.lock").open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._leader_lock = file
            for path in self._store.scratch.glob("*.json"):  # of a leader that was killed; its processes end by themselves
                path.unlink(missing_ok=True)
        return True

    def _start_queued(self, records: dict[str, JobRecord]) -> None:
        now = time.monotonic()
        ready = [
            job
            for job, record in sorted(records.items(), key=lambda item: item[1].submitted)
            if record.state == "queued" and job not in self._running and self._retry_times.get(job, 0) <= now
        ]
        for job in ready[: max(0, self._settings.max_jobs - len(self._running))]:
            self._start(job)

    def _start(self, job: str) -> None:
        try:
            plan = self._store.plan(job)
        except UserError as error:
            self._fail(job, self._store.error_text(error))
            return
        if self._is_closed:
            return
        if plan is None:
            self._fail(job, "the folder of the job was removed: submit the job again")
            return
        generators = [self._generator_file(generator) for generator in plan.generators]
        url, progress = self._store.output(job).url, self._store.progress_file(job)
        images = self._store.recorded_images(job, plan)
        self._running[job] = JobProcess(plan, images, generators, url, self._settings.job_workers, progress)
        log_job(job, "started")

    def _generator_file(self, generator: PlanGenerator) -> Path:
        """Return the file of a version, or else the file of the name: the process of the job reports another version."""
        name = generator.card.name
        return local_file(name, generator.model, self._settings) or Path(f"{name}.onnx")

    def _handle_end(self, job: str, process: JobProcess, status: int) -> None:
        text = process.read_output()
        if status == 0:
            self._store.finish(job, size=int(text.rpartition("\n")[2]))
            self._silent_ends.pop(job, None)
            log_job(job, "done")
        elif process.is_stopping:
            log_job(job, "stopped")
        elif status == BUSY:
            self._retry_times[job] = time.monotonic() + self._settings.watch_seconds
        elif status == 1 and text:
            self._fail(job, text)
        else:
            self._handle_silent_end(job, f"by signal {-status}" if status < 0 else f"with status {status}")

    def _handle_silent_end(self, job: str, cause: str) -> None:
        _LOG.error("job %s: process ended %s", job, cause)
        self._retry_times[job] = time.monotonic() + _RETRY_SECONDS
        self._silent_ends[job] += 1
        if self._silent_ends[job] >= _ATTEMPTS:
            del self._silent_ends[job]
            self._fail(job, f"the process of the job ended {_ATTEMPTS} times without an error text, the last time {cause}")

    def _fail(self, job: str, error: str) -> None:
        # If the record cannot be written, this delay keeps the job from starting again at once.
        self._retry_times[job] = time.monotonic() + _RETRY_SECONDS
        _LOG.error("job %s: failed: %s", job, error)
        self._store.finish(job, error)

    def _count_images(self, job: str, process: JobProcess) -> None:
        """Add the images that were finished since the last call to the metrics."""
        images = self._store.recorded_images(job, process.plan)
        for generator, count, counted in zip(process.plan.generators, images, process.images, strict=True):
            if count > counted:
                metrics.count_job_images(generator.card.name, count - counted)
        process.images = [max(counts) for counts in zip(images, process.images, strict=True)]

    def _update_gauges(self, records: dict[str, JobRecord]) -> None:
        states: Counter[State] = Counter(record.state for record in records.values())
        running = sum(not process.is_stopping for process in self._running.values())
        states["running"], states["queued"] = running, states["queued"] - running
        for state in STATES:
            metrics.set_job_count(state, states[state])

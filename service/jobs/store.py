"""The jobs under one root: a folder for each job, as `seedmint batch run` writes it, and a record for each job."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedmint.service.batch.completeness import missing_shards
from seedmint.service.batch.job import begin, load_plan
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.records import RecordError, count_in_shards, read_record, recorded_shards
from seedmint.service.batch.storage.base import Output
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.jobs.errors import JobActiveError, QueueFullError, public_text
from seedmint.service.jobs.job_record import Job, JobEntry, JobRecord, job_id
from seedmint.service.jobs.progress import JobProgress, read_progress
from seedmint.service.jobs.record_files import RecordFiles

FILES_REMOVED = "some files of the job were removed"
_READERS = 16  # concurrent requests to an object store


class JobStore:
    """The jobs under one root. Blocks, so do not call it on the event loop. Safe for several threads and processes.

    Attributes:
        url: The root.
        is_local: Whether the root is a local folder.
    """

    def __init__(self, url: str) -> None:
        """
        Args:
            url: The root: a local folder or a prefix of an object store.

        Raises:
            UserError: The kind of URL is unknown.
        """
        self.url = url.rstrip("/") or url
        self._files = RecordFiles(self.url)
        self.is_local = self._files.is_local
        self._sizes: dict[str, tuple[NDArray[np.bool_], int]] = {}  # id -> shards counted, and their size in bytes

    @property
    def scratch(self) -> Path:
        """A local folder for the processes of this machine."""
        return self._files.scratch

    def prepare(self) -> None:
        """Create the root if it does not exist.

        Raises:
            OSError: The root cannot be created.
        """
        self._files.prepare()

    def output(self, job: str) -> Output:
        """Return the folder of a job.

        Args:
            job: Id of the job.
        """
        return open_output(f"{self.url}/{job}")

    def progress_file(self, job: str) -> Path:
        """Return the path of a job's progress file.

        Args:
            job: Id of the job.
        """
        return self.scratch / f"{job}.json"

    def records(self) -> dict[str, JobRecord]:
        """Return the records of all jobs, by id."""
        return self._files.read_all()

    def newest(self, before: tuple[datetime, str] | None, limit: int) -> tuple[list[JobEntry], int]:
        """Return the newest jobs.

        Args:
            before: Only jobs older than this submission time and id; None for all.
            limit: Largest number of jobs.

        Returns:
            The jobs, newest first, and the number of all jobs.
        """
        records = self.records()
        order = sorted(((record.submitted, job) for job, record in records.items()), reverse=True)
        page = [job for submitted, job in order if before is None or (submitted, job) < before][:limit]
        return [JobEntry(job, records[job], self._progress(job, records[job])) for job in page], len(records)

    def find(self, job: str) -> Job | None:
        """Return one job with its current progress.

        Args:
            job: Id of the job.

        Returns:
            The job, or None if there is no such job.

        Raises:
            UserError: The job is not readable.
            OSError: The same.
        """
        record, plan = self._files.read(job), self.plan(job)
        if record is None or plan is None:
            return None
        if record.state == "done":
            return Job(job, record, None, plan, plan.count, plan.num_shards, record.bytes)
        output = self.output(job)
        recorded = recorded_shards(output, plan)
        size = self._recorded_bytes(job, plan, output, recorded)
        images = count_in_shards(plan, recorded)
        return Job(job, record, self._progress(job, record), plan, images, int(recorded.sum()), size)

    def plan(self, job: str) -> Plan | None:
        """Return the plan of a job, or None if there is no such job.

        Args:
            job: Id of the job.

        Raises:
            UserError: The plan is not readable.
            OSError: The same.
        """
        try:
            return _read_plan(f"{self.url}/{job}")
        except FileNotFoundError:
            return None

    def recorded_images(self, job: str, plan: Plan) -> list[int]:
        """Return the number of images or samples of each generator in the finished shards of a job.

        Args:
            job: Id of the job.
            plan: Its plan.
        """
        recorded, numbers = recorded_shards(self.output(job), plan), range(len(plan.generators))
        return [count_in_shards(plan, recorded & (plan.shard_generators == number)) for number in numbers]

    def submit(self, plan: Plan, max_queued: int) -> bool:
        """Queue a job. A failed or cancelled job is resumed; a queued, running or finished job does not change.

        Args:
            plan: The plan of the job.
            max_queued: Largest number of jobs in the queue.

        Returns:
            Whether the job is new.

        Raises:
            QueueFullError: The queue is full.
            UserError: The job is not writable.
            OSError: The same.
        """
        job = job_id(plan)
        with self._files.exclusive_lock():
            existing = self._files.read(job)
            if existing is not None and existing.state in ("queued", "done"):
                return False
            self.check_queue(max_queued)
            begin(self.output(job), plan)
            record = JobRecord(
                submitted=datetime.now(UTC),
                state="queued",
                model=plan.card.name,
                digest=plan.model,
                format=plan.format,
                images=plan.count,
                shards=plan.num_shards,
            )
            self._files.write(job, record)
            return existing is None

    def check_queue(self, max_queued: int) -> None:
        """Check that the queue has room for another job.

        Args:
            max_queued: Largest number of jobs in the queue.

        Raises:
            QueueFullError: The queue is full.
        """
        queued = [job for job, record in self.records().items() if record.state == "queued"]
        if sum(not self.progress_file(job).exists() for job in queued) >= max_queued:
            raise QueueFullError(f"the queue is full: {max_queued} jobs wait")

    def cancel(self, job: str) -> bool:
        """Cancel a job that is queued or running.

        Args:
            job: Id of the job.

        Returns:
            Whether there is such a job.
        """
        with self._files.exclusive_lock():
            record = self._files.read(job)
            if record is not None and record.state == "queued":
                self._files.write(job, record.model_copy(update={"state": "cancelled"}))
            return record is not None

    def remove(self, job: str) -> None:
        """Remove a job that does not run: its files, then its record.

        Args:
            job: Id of the job.

        Raises:
            JobActiveError: The job is queued, or its process has not ended yet.
            UserError: The job is not writable.
            OSError: The same.
        """
        with self._files.exclusive_lock():
            record = self._files.read(job)
            if record is None:
                return
            if record.state == "queued" or self.progress_file(job).exists():
                raise JobActiveError(f"job {job} has not ended yet: send the request again")
            self.output(job).remove_all()
            self._files.remove(job)
            self._sizes.pop(job, None)

    def finish(self, job: str, error: str | None = None, size: int = 0) -> None:
        """Record the end of a job. A job that was cancelled before it failed stays cancelled.

        Args:
            job: Id of the job.
            error: Why the job failed; None if it is done.
            size: Size of the shards in bytes.
        """
        with self._files.exclusive_lock():
            record = self._files.read(job)
            if record is None or (error is not None and record.state != "queued"):
                return
            state = "done" if error is None else "failed"
            self._files.write(job, record.model_copy(update={"state": state, "error": error, "bytes": size}))

    def recheck(self, job: str) -> None:
        """Mark a finished job as failed if some of its files were removed. It can then be submitted again.

        Args:
            job: Id of the job.

        Raises:
            UserError: The job is not readable or writable.
            OSError: The same.
        """
        with self._files.exclusive_lock():
            record, plan = self._files.read(job), self.plan(job)
            if record is None or record.state != "done":
                return
            if plan is None or len(missing_shards(self.output(job), plan)):
                update = {"state": "failed", "error": FILES_REMOVED}
                self._files.write(job, record.model_copy(update=update))

    def error_text(self, error: Exception) -> str:
        """Return an error as one line, without the path or URL of the root.

        Args:
            error: The error.
        """
        return public_text(error, self.url, "the jobs folder")

    def _progress(self, job: str, record: JobRecord) -> JobProgress | None:
        return read_progress(self.progress_file(job)) if record.state == "queued" else None

    def _recorded_bytes(self, job: str, plan: Plan, output: Output, recorded: NDArray[np.bool_]) -> int:
        """Return the size of the recorded shards in bytes. Reads each record once."""
        counted, size = self._sizes.get(job, (np.zeros(plan.num_shards, np.bool_), 0))
        if (counted & ~recorded).any():  # a record was removed
            counted, size = np.zeros(plan.num_shards, np.bool_), 0
        new = np.flatnonzero(recorded & ~counted).tolist()
        with ThreadPoolExecutor(_READERS) as readers:
            size += sum(readers.map(lambda index: _shard_bytes(output, plan, index), new))
        self._sizes[job] = recorded, size
        return size


@lru_cache(16)  # few plans, because a plan may name millions of seeds
def _read_plan(url: str) -> Plan:
    """Return the plan of a job. The plan never changes, because the id of the job is a part of the digest of the plan."""
    plan = load_plan(open_output(url))
    if plan is None:
        raise FileNotFoundError
    return plan


def _shard_bytes(output: Output, plan: Plan, index: int) -> int:
    try:
        return read_record(output, plan, index).bytes
    except (RecordError, FileNotFoundError):
        return 0  # the process of the job reports the error when it writes the manifest

"""The files of job records. All records are in one folder, so that one listing shows the changed records."""

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from seedmint.models.files import write_whole
from seedmint.service.batch.storage.local import LocalOutput
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.jobs.job_record import JOB_ID, JobRecord

_FOLDER = "job-records"
_SERVER_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_READERS = 16  # concurrent requests to an object store


class RecordFiles:
    """Reads and writes job records. Safe for several threads and processes.

    Attributes:
        is_local: Whether the root is a local folder.
    """

    def __init__(self, url: str) -> None:
        """
        Args:
            url: The root of all jobs: a local folder or a prefix of an object store.

        Raises:
            UserError: The kind of URL is unknown.
        """
        self._root = open_output(url)
        self.is_local = isinstance(self._root, LocalOutput)
        self._cache: dict[str, tuple[str, JobRecord | None]] = {}  # id -> version of the file, and the record

    @property
    def scratch(self) -> Path:
        """A local folder for the processes of this machine.

        The folder is inside a local root, or else inside the folder where the workers of a server share their metrics.
        """
        if isinstance(self._root, LocalOutput):
            return self._root.root / ".service"
        return Path(os.environ[_SERVER_FOLDER_VARIABLE]) / "jobs"

    def prepare(self) -> None:
        """Create the root and the scratch folder if they do not exist.

        Raises:
            OSError: A folder cannot be created.
        """
        self._root.prepare()
        self.scratch.mkdir(parents=True, exist_ok=True)

    def read(self, job: str) -> JobRecord | None:
        """Read the record of one job.

        Args:
            job: Id of the job.

        Returns:
            The record, or None if there is no record or the record is damaged. The next submission replaces a damaged record.
        """
        try:
            return JobRecord.model_validate_json(self._root.read(_file_name(job)))
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def read_all(self) -> dict[str, JobRecord]:
        """Return the records of all jobs, by id. Reads only the files that have changed since the last call."""
        versions = {name.removesuffix(".json"): version for name, version in self._root.versions(_FOLDER).items()}
        cache = {job: self._cache[job] for job in versions.keys() & self._cache.keys() if self._cache[job][0] == versions[job]}
        changed = [job for job in versions if JOB_ID.fullmatch(job) and job not in cache]
        with ThreadPoolExecutor(_READERS) as readers:
            records = readers.map(self.read, changed)
            cache |= {job: (versions[job], record) for job, record in zip(changed, records, strict=True)}
        self._cache = cache
        return {job: record for job, (_, record) in cache.items() if record is not None}

    def write(self, job: str, record: JobRecord) -> None:
        """Write the record of one job. Hold `exclusive_lock` meanwhile.

        Args:
            job: Id of the job.
            record: The record.
        """
        content = (record.model_dump_json(indent=2) + "\n").encode()
        if isinstance(self._root, LocalOutput):
            write_whole(self._root.root / _file_name(job), content)
        else:
            with self._root.write(_file_name(job)) as file:
                file.write(content)

    def remove(self, job: str) -> None:
        """Remove the record of one job. Hold `exclusive_lock` meanwhile.

        Args:
            job: Id of the job.
        """
        self._root.remove(_file_name(job))

    @contextmanager
    def exclusive_lock(self) -> Iterator[None]:
        """Keep other threads and processes of this machine from changing records while the block runs."""
        self.prepare()
        with (self.scratch / "records.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _file_name(job: str) -> str:
    return f"{_FOLDER}/{job}.json"

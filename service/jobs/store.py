"""Jobs on disk: a folder each, as `seedmint batch` writes it, and a note of what is wanted of it. Nothing else is remembered.

All lie under the root, a local folder or an object store's prefix; the notes in one folder, so that a listing tells which have
changed. What only processes on this machine tell each other lies in `scratch`.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ValidationError

from seedmint.models.card import Name, Sha256
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.service.batch.formats import Form
from seedmint.service.batch.job import begin, missing, plan_of
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.records import RecordError, images_of, read_record, recorded
from seedmint.service.batch.storage.base import Output
from seedmint.service.batch.storage.local import Folder
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.jobs.errors import without_place
from seedmint.service.jobs.progress import Progress, read_progress

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "done", "failed", "cancelled")

ID_DIGITS = 16
JOB_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}", re.ASCII)
_NOTES = "notes"
_OF_SERVER = "PROMETHEUS_MULTIPROC_DIR"
_READERS = 16  # requests to an object store at once


class QueueFullError(UserError):
    """As many jobs wait as may."""


class Note(BaseModel):
    """What is wanted of a job, or what has become of it; and what a list of jobs tells of its plan.

    Attributes:
        bytes: of the shards of a job that is done.
    """

    submitted: AwareDatetime
    state: Literal["queued", "done", "failed", "cancelled"]
    error: str | None = None
    bytes: int = 0
    model: Name
    digest: Sha256
    format: Form
    images: int
    shards: int


@dataclass(frozen=True)
class Entry:
    """A job as its note has it, and how far its process is, if it runs."""

    id: str
    note: Note
    progress: Progress | None

    @property
    def state(self) -> State:
        return "running" if self.progress is not None else self.note.state


@dataclass(frozen=True)
class Job(Entry):
    """A job as it is now.

    Attributes:
        recorded: images in finished shards.
        shards: finished ones.
        bytes: of those.
    """

    plan: Plan
    recorded: int
    shards: int
    bytes: int

    @property
    def images(self) -> int:
        """How many there are."""
        return self.recorded if self.progress is None else min(self.plan.count, max(self.recorded, self.progress.images))


class Store:
    """The jobs under one root. Blocking: not for the event loop. Safe to use from several threads and processes.

    Attributes:
        local: whether the root is a folder of this machine.
    """

    def __init__(self, url: str) -> None:
        """
        Raises:
            UserError: no such kind of place is known.
        """
        self.url = url.rstrip("/") or url
        self._root = open_output(self.url)
        self.local = isinstance(self._root, Folder)
        self._sizes: dict[str, tuple[NDArray[np.bool_], int]] = {}
        self._known: dict[str, tuple[str, Note | None]] = {}  # by job: the version of its note, and the note

    @property
    def scratch(self) -> Path:
        """Beside the jobs, or, if these are in an object store, where the workers of one server have their metrics."""
        return self._root.root / ".service" if isinstance(self._root, Folder) else Path(os.environ[_OF_SERVER]) / "jobs"

    def prepare(self) -> None:
        """Make the root, if it is not there.

        Raises:
            OSError: it cannot be made.
        """
        self._root.prepare()
        self.scratch.mkdir(parents=True, exist_ok=True)

    def output(self, job: str) -> Output:
        """The folder of a job."""
        return open_output(f"{self.url}/{job}")

    def progress_file(self, job: str) -> Path:
        return self.scratch / f"{job}.json"

    def notes(self) -> dict[str, Note]:
        """Of all jobs, by id. Only those that have changed are read."""
        versions = self._root.versions(_NOTES)
        there = {name.removesuffix(".json"): version for name, version in versions.items()}
        known = {job: self._known[job] for job in there.keys() & self._known.keys() if self._known[job][0] == there[job]}
        changed = [job for job in there if JOB_ID.fullmatch(job) and job not in known]
        with ThreadPoolExecutor(_READERS) as readers:
            known |= {job: (there[job], note) for job, note in zip(changed, readers.map(self.note, changed), strict=True)}
        self._known = known
        return {job: note for job, (_, note) in known.items() if note is not None}

    def note(self, job: str) -> Note | None:
        """Of one job; None where there is none. A job whose note is damaged is begun anew by who asks for it again."""
        try:
            return Note.model_validate_json(self._root.read(_note_file(job)))
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def newest(self, before: tuple[datetime, str] | None, most: int) -> tuple[list[Entry], int]:
        """The newest jobs, no more than `most`, of those that were submitted before a time, or then with a lesser id.

        Returns:
            the jobs, newest first, and the number of all jobs.
        """
        notes = self.notes()
        order = sorted(((note.submitted, job) for job, note in notes.items()), reverse=True)
        listed = [job for submitted, job in order if before is None or (submitted, job) < before][:most]
        return [Entry(job, notes[job], self._progress(job, notes[job])) for job in listed], len(notes)

    def find(self, job: str) -> Job | None:
        """One job, with how far it is.

        Raises:
            UserError, OSError: it cannot be read.
        """
        note, plan = self.note(job), self.plan(job)
        if note is None or plan is None:
            return None
        if note.state == "done":
            return Job(job, note, None, plan, plan.count, plan.shards, note.bytes)
        output = self.output(job)
        marked = recorded(output, plan)
        size = self._bytes(job, plan, output, marked)
        return Job(job, note, self._progress(job, note), plan, images_of(plan, marked), int(marked.sum()), size)

    def look_again(self, job: str) -> None:
        """See whether the files of a job that is done are still there. If not, it has failed, and can be asked for again.

        Raises:
            UserError, OSError: it cannot be read or written.
        """
        with self._alone():
            note, plan = self.note(job), self.plan(job)
            if note is not None and note.state == "done" and (plan is None or len(missing(self.output(job), plan))):
                self._write(job, note.model_copy(update={"state": "failed", "error": "some of its files were removed"}))

    def _progress(self, job: str, note: Note) -> Progress | None:
        return read_progress(self.progress_file(job)) if note.state == "queued" else None

    def recorded(self, job: str, plan: Plan) -> int:
        """How many images of a job there are in finished shards."""
        return images_of(plan, recorded(self.output(job), plan))

    def plan(self, job: str) -> Plan | None:
        """That of one job; None where there is none.

        Raises:
            UserError, OSError: it cannot be read.
        """
        try:
            return _read_plan(f"{self.url}/{job}")
        except FileNotFoundError:
            return None

    def submit(self, plan: Plan, max_queued: int) -> bool:
        """Want a job to be made. One that waits, runs or is done stays as it is; one that failed or was cancelled goes on.

        Returns:
            whether it is new.

        Raises:
            QueueFullError: as many wait already.
            UserError, OSError: it cannot be written.
        """
        job = job_id(plan)
        with self._alone():
            note = self.note(job)
            if note is not None and note.state in ("queued", "done"):
                return False
            self.check_queue(max_queued)
            begin(self.output(job), plan)
            wanted = Note(
                submitted=datetime.now(UTC),
                state="queued",
                model=plan.card.name,
                digest=plan.model,
                format=plan.format,
                images=plan.count,
                shards=plan.shards,
            )
            self._write(job, wanted)
            return note is None

    def check_queue(self, max_queued: int) -> None:
        """
        Raises:
            QueueFullError: so many jobs wait already.
        """
        waiting = [job for job, note in self.notes().items() if note.state == "queued"]
        if sum(not self.progress_file(job).exists() for job in waiting) >= max_queued:
            raise QueueFullError(f"{max_queued} jobs wait already, which is the limit")

    def cancel(self, job: str) -> bool:
        """Want a job no more, if it waits or runs.

        Returns:
            whether there is such a job.
        """
        with self._alone():
            note = self.note(job)
            if note is not None and note.state == "queued":
                self._write(job, note.model_copy(update={"state": "cancelled"}))
            return note is not None

    def settle(self, job: str, error: str | None = None, size: int = 0) -> None:
        """Note that a job is done, of `size` bytes, or failed with an error. One that was cancelled meanwhile did not fail."""
        with self._alone():
            note = self.note(job)
            if note is None or (error is not None and note.state != "queued"):
                return
            state = "done" if error is None else "failed"
            self._write(job, note.model_copy(update={"state": state, "error": error, "bytes": size}))

    def said(self, error: Exception) -> str:
        """An error in one line, without the root's path or URL."""
        return without_place(error, self.url, "the jobs' folder")

    def _write(self, job: str, note: Note) -> None:
        content = (note.model_dump_json(indent=2) + "\n").encode()
        if isinstance(self._root, Folder):
            write_whole(self._root.root / _note_file(job), content)
        else:
            with self._root.write(_note_file(job)) as file:
                file.write(content)

    def _bytes(self, job: str, plan: Plan, output: Output, marked: NDArray[np.bool_]) -> int:
        """The sum of the records' bytes; each is read once."""
        known, size = self._sizes.get(job, (np.zeros(plan.shards, np.bool_), 0))
        if (known & ~marked).any():  # a record was removed
            known, size = np.zeros(plan.shards, np.bool_), 0
        with ThreadPoolExecutor(_READERS) as readers:
            size += sum(readers.map(lambda index: _bytes_of(output, plan, index), np.flatnonzero(marked & ~known).tolist()))
        self._sizes[job] = marked, size
        return size

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread or process on this machine changes a note meanwhile."""
        self.prepare()
        with (self.scratch / "notes.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _note_file(job: str) -> str:
    return f"{_NOTES}/{job}.json"


@lru_cache(16)
def _read_plan(url: str) -> Plan:
    """The plan of a job, whose id is of the plan: it never changes. It may name millions of seeds, so that few are kept."""
    plan = plan_of(open_output(url))
    if plan is None:
        raise FileNotFoundError
    return plan


def _bytes_of(output: Output, plan: Plan, index: int) -> int:
    try:
        return read_record(output, plan, index).bytes
    except (RecordError, FileNotFoundError):
        return 0  # the job's process says what is wrong with it when it writes the manifest


def job_id(plan: Plan) -> str:
    """The id of a plan's job: it is the same wherever and whenever it is asked for."""
    return plan.digest[:ID_DIGITS]

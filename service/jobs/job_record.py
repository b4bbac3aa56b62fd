"""Data of a job: its record, its entry in a list, and its current state."""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import AwareDatetime, BaseModel

from seedmint.models.card import Name
from seedmint.models.card_part import Sha256
from seedmint.service.batch.formats.base import ShardFormat
from seedmint.service.batch.plan import Plan
from seedmint.service.jobs.progress import JobProgress

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "done", "failed", "cancelled")

ID_DIGITS = 16
JOB_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}", re.ASCII)


class JobRecord(BaseModel):
    """The stored state of a job, with the parts of its plan that a list shows.

    Attributes:
        submitted: Time of the last submission.
        state: "queued" also while the job runs.
        error: Why the job failed.
        bytes: Size of the shards, if the job is done.
        model: Name of the generator.
        digest: SHA-256 of the generator file.
        format: Format of the shards.
        images: Number of images or samples.
        shards: Number of shards.
    """

    submitted: AwareDatetime
    state: Literal["queued", "done", "failed", "cancelled"]
    error: str | None = None
    bytes: int = 0
    model: Name
    digest: Sha256
    format: ShardFormat
    images: int
    shards: int


@dataclass(frozen=True)
class JobEntry:
    """A job in a list.

    Attributes:
        id: Id of the job.
        record: Its record.
        progress: Its progress, if it runs.
    """

    id: str
    record: JobRecord
    progress: JobProgress | None

    @property
    def state(self) -> State:
        """The state; "running" if its process runs."""
        return "running" if self.progress is not None else self.record.state


@dataclass(frozen=True)
class Job(JobEntry):
    """A job with its current progress.

    Attributes:
        plan: Its plan.
        images_recorded: Images or samples in finished shards.
        shards_done: Finished shards.
        bytes: Size of the finished shards.
    """

    plan: Plan
    images_recorded: int
    shards_done: int
    bytes: int

    @property
    def is_finished(self) -> bool:
        """Whether the job is done, failed or cancelled."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def images_done(self) -> int:
        """Images or samples that exist, including those in unfinished shards."""
        if self.progress is None:
            return self.images_recorded
        return min(self.plan.count, max(self.images_recorded, self.progress.images))


def job_id(plan: Plan) -> str:
    """Return the id of a job. Equal plans have the same id on every server.

    Args:
        plan: The plan of the job.
    """
    return plan.digest[:ID_DIGITS]

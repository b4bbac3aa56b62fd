"""What is told of jobs over HTTP."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seedmint.models.card import Name, Sha256
from seedmint.service.batch.formats import Form
from seedmint.service.batch.manifest import MANIFEST
from seedmint.service.batch.plan import Labels
from seedmint.service.jobs.progress import Progress
from seedmint.service.jobs.store import ID_DIGITS, Entry, Job, State

_LONGEST = 1000  # characters of seeds
_Count = Annotated[int, Field(ge=0)]


class JobLine(BaseModel):
    """A job, as the list has it."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=f"^[0-9a-f]{{{ID_DIGITS}}}$", description="Of what is asked for: the same request is the same job.")
    url: str
    state: State
    submitted: AwareDatetime
    model: Name
    digest: Sha256
    format: Form
    images: _Count = Field(description="How many are asked for; or samples, of a generator of samples.")
    images_done: _Count | None = Field(description="In the list, null for what neither runs nor is done: its own page tells.")
    shards: _Count
    images_per_second: float | None = Field(description="While it runs, since it was begun or gone on with.")
    seconds_left: float | None
    error: str | None = Field(description="Why it failed. Who submits it again goes on with it.")


class JobPage(JobLine):
    """A job."""

    images_done: _Count
    shards_done: _Count
    bytes: _Count = Field(description="Of the shards that are done.")
    seeds: str = Field(description=f"After {_LONGEST:,} characters cut short, with ... at the end; plan.json has them all.")
    labels: Labels | None
    truncation: float
    shard_size: _Count
    files_url: str = Field(
        description="Where its files are, as a URI template (RFC 6570): each from its shard's being done, by the name in the "
        "manifest, data/shard-000000.tar for one; plan.json; at the end manifest.json and README.md."
    )
    manifest_url: str | None = Field(description="The list of all files with their SHA-256, when it is done.")


class Jobs(BaseModel):
    """The newest jobs first."""

    jobs: tuple[JobLine, ...]
    total: _Count = Field(description="How many there are in all.")
    next_url: str | None = Field(description="Where those that are older are listed, if there are any.")


def job_path(job: str) -> str:
    """The address of a job."""
    return f"/v1/jobs/{job}"


def page_of(job: Job) -> JobPage:
    """All that is told of a job."""
    plan, line = job.plan, line_of(job)
    return JobPage(
        **line.model_dump(exclude={"images_done", "seconds_left"}),
        images_done=job.images,
        seconds_left=_seconds(plan.count - job.images, job.progress),
        shards_done=job.shards,
        bytes=job.bytes,
        seeds=plan.seeds if len(plan.seeds) <= _LONGEST else plan.seeds[:_LONGEST] + "...",
        labels=plan.labels,
        truncation=plan.truncation,
        shard_size=plan.shard_size,
        files_url=f"{line.url}/files/{{+file}}",
        manifest_url=f"{line.url}/files/{MANIFEST}" if job.state == "done" else None,
    )


def line_of(job: Entry) -> JobLine:
    """What the list tells of a job: what is known without a look at its files."""
    note, progress = job.note, job.progress
    done = progress.images if progress is not None else note.images if note.state == "done" else None
    return JobLine(
        id=job.id,
        url=job_path(job.id),
        state=job.state,
        submitted=note.submitted,
        model=note.model,
        digest=note.digest,
        format=note.format,
        images=note.images,
        images_done=done,
        shards=note.shards,
        images_per_second=None if progress is None or progress.rate is None else round(progress.rate, 1),
        seconds_left=None if done is None else _seconds(note.images - done, progress),
        error=note.error,
    )


def _seconds(left: int, progress: Progress | None) -> float | None:
    return None if progress is None or not progress.rate else round(left / progress.rate, 1)

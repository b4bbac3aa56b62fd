"""What is told of jobs over HTTP."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from models.card import Name, Sha256
from service.batch.formats import Form
from service.batch.manifest import MANIFEST
from service.batch.plan import Labels
from service.jobs.requests import ID_DIGITS
from service.jobs.store import Job, State

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
    images_done: _Count
    shards: _Count
    shards_done: _Count
    bytes: _Count = Field(description="Of the shards that are done.")
    images_per_second: float | None = Field(description="While it runs, since it was begun or gone on with.")
    seconds_left: float | None
    error: str | None = Field(description="Why it failed. Who submits it again goes on with it.")


class JobPage(JobLine):
    """A job."""

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
    total: _Count = Field(description="How many there are; those not listed have their addresses.")


def job_path(job: str) -> str:
    """The address of a job."""
    return f"/v1/jobs/{job}"


def page_of(job: Job) -> JobPage:
    """All that is told of a job."""
    plan, progress = job.plan, job.progress if job.state == "running" else None
    rate = None if progress is None else progress.rate
    path = job_path(job.id)
    return JobPage(
        id=job.id,
        url=path,
        state=job.state,
        submitted=job.note.submitted,
        model=plan.card.name,
        digest=plan.model,
        format=plan.format,
        images=plan.count,
        images_done=job.images,
        shards=plan.shards,
        shards_done=int(job.marked.sum()),
        bytes=job.bytes,
        images_per_second=None if rate is None else round(rate, 1),
        seconds_left=None if not rate else round((plan.count - job.images) / rate, 1),
        error=job.note.error,
        seeds=plan.seeds if len(plan.seeds) <= _LONGEST else plan.seeds[:_LONGEST] + "...",
        labels=plan.labels,
        truncation=plan.truncation,
        shard_size=plan.shard_size,
        files_url=f"{path}/files/{{+file}}",
        manifest_url=f"{path}/files/{MANIFEST}" if job.state == "done" else None,
    )


def line_of(job: Job) -> JobLine:
    """What the list tells of a job."""
    return JobLine.model_validate(page_of(job).model_dump(include=set(JobLine.model_fields)))

"""The JSON documents of jobs."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seedmint.models.card import Name, Sha256
from seedmint.service.batch.formats import Format
from seedmint.service.batch.manifest import MANIFEST
from seedmint.service.batch.plan import Labels
from seedmint.service.jobs.job_record import ID_DIGITS, Job, JobEntry, State
from seedmint.service.jobs.progress import JobProgress

_MAX_SEEDS_LENGTH = 1000  # characters
_Count = Annotated[int, Field(ge=0)]


class JobLine(BaseModel):
    """A job in the list."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=f"^[0-9a-f]{{{ID_DIGITS}}}$", description="Id of the job. Equal requests have the same id.")
    url: str
    state: State
    submitted: AwareDatetime
    model: Name
    digest: Sha256
    format: Format
    images: _Count = Field(description="Number of images, or of samples.")
    images_done: _Count | None = Field(
        description="Images that exist. null in the list if the job is neither running nor done; its own page has the number."
    )
    shards: _Count
    images_per_second: float | None = Field(description="Rate while the job runs, since it was started or resumed.")
    seconds_left: float | None
    error: str | None = Field(description="Why the job failed. The same request resumes it.")


class JobPage(JobLine):
    """A job."""

    images_done: _Count
    shards_done: _Count
    bytes: _Count = Field(description="Size of the finished shards in bytes.")
    seeds: str = Field(
        description=f"The seeds; cut after {_MAX_SEEDS_LENGTH:,} characters, with ... at the end. plan.json has all of them."
    )
    labels: Labels | None
    truncation: float
    shard_size: _Count
    files_url: str = Field(
        description="URI template (RFC 6570) of the files. A shard's file exists when the shard is done, under its name in the "
        "manifest, such as data/shard-000000.tar. plan.json always exists; manifest.json and README.md exist at the end."
    )
    manifest_url: str | None = Field(description="List of all files with their SHA-256. null until the job is done.")


class Jobs(BaseModel):
    """One page of the list of jobs, newest first."""

    jobs: tuple[JobLine, ...]
    total: _Count = Field(description="Number of all jobs.")
    next_url: str | None = Field(description="URL of the next page, with older jobs. null on the last page.")


def job_path(job: str) -> str:
    """Return the URL path of a job.

    Args:
        job: Id of the job.
    """
    return f"/v1/jobs/{job}"


def page_of(job: Job) -> JobPage:
    """Return the document of a job.

    Args:
        job: The job.
    """
    plan, line = job.plan, line_of(job)
    return JobPage(
        **line.model_dump(exclude={"images_done", "seconds_left"}),
        images_done=job.images_done,
        seconds_left=_seconds_left(plan.count - job.images_done, job.progress),
        shards_done=job.shards_done,
        bytes=job.bytes,
        seeds=plan.seeds if len(plan.seeds) <= _MAX_SEEDS_LENGTH else plan.seeds[:_MAX_SEEDS_LENGTH] + "...",
        labels=plan.labels,
        truncation=plan.truncation,
        shard_size=plan.shard_size,
        files_url=f"{line.url}/files/{{+file}}",
        manifest_url=f"{line.url}/files/{MANIFEST}" if job.state == "done" else None,
    )


def line_of(job: JobEntry) -> JobLine:
    """Return the entry of a job in the list, without reading the files of the job.

    Args:
        job: The job.
    """
    record, progress = job.record, job.progress
    done = progress.images if progress is not None else record.images if record.state == "done" else None
    return JobLine(
        id=job.id,
        url=job_path(job.id),
        state=job.state,
        submitted=record.submitted,
        model=record.model,
        digest=record.digest,
        format=record.format,
        images=record.images,
        images_done=done,
        shards=record.shards,
        images_per_second=None if progress is None or progress.rate is None else round(progress.rate, 1),
        seconds_left=None if done is None else _seconds_left(record.images - done, progress),
        error=record.error,
    )


def _seconds_left(images: int, progress: JobProgress | None) -> float | None:
    return None if progress is None or not progress.rate else round(images / progress.rate, 1)

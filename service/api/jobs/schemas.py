"""The JSON documents of jobs."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seedmint.models.card import Name
from seedmint.models.card_part import Sha256
from seedmint.service.batch.formats.base import ShardFormat
from seedmint.service.batch.manifest import MANIFEST
from seedmint.service.batch.plan import LabelChoice
from seedmint.service.jobs.job_record import ID_DIGITS, Job, JobEntry, State
from seedmint.service.jobs.progress import JobProgress

_MAX_SEEDS_LENGTH = 1000  # characters
_Count = Annotated[int, Field(ge=0)]


class JobSummary(BaseModel):
    """A job in the list."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=f"^[0-9a-f]{{{ID_DIGITS}}}$", description="Id of the job. Equal requests have the same id.")
    url: str
    state: State
    submitted: AwareDatetime
    model: Name = Field(description="Name of the generator; of the first, if the job has several.")
    digest: Sha256 = Field(description="SHA-256 of its file.")
    format: ShardFormat
    images: _Count = Field(description="Number of images, or of samples. With a filter, all that are tried.")
    images_done: _Count | None = Field(
        description="Number of finished images. In the list, it is null unless the job is running or done; the job's own URL "
        "always has the number."
    )
    shards: _Count
    images_per_second: float | None = Field(
        description="Mean rate since the job was last started or resumed; null if the job is not running."
    )
    seconds_left: float | None = Field(description="Estimated time until the job is done; null if the rate is not known.")
    error: str | None = Field(description="Why the job failed. Send the same request again to resume the job.")


class JobGenerator(BaseModel):
    """A generator of a job."""

    model: Name
    digest: Sha256 = Field(description="SHA-256 of its file.")


class JobDocument(JobSummary):
    """A job with all its fields."""

    generators: tuple[JobGenerator, ...] = Field(description="All generators of the job. Each makes all seeds.")
    images_done: _Count
    shards_done: _Count
    bytes: _Count = Field(description="Size of the finished shards in bytes.")
    seeds: str = Field(
        description=f"The seeds; cut after {_MAX_SEEDS_LENGTH:,} characters, with ... at the end. plan.json has all of them."
    )
    splits: dict[str, _Count] | None = Field(description="Number of images of each split; null without splits.")
    labels: LabelChoice | None
    truncation: float
    filter: str | None = Field(description="Rule of the images that are kept; null for all.")
    shard_size: _Count
    files_url: str = Field(
        description="URI template (RFC 6570) of the files. The file of a shard, such as data/shard-000000.tar, exists as soon "
        "as the shard is done. plan.json always exists. manifest.json, which lists all names, and README.md exist when the "
        "job is done."
    )
    index_url: str = Field(description="List of the files that exist, with their sizes.")
    manifest_url: str | None = Field(description="List of all files with their SHA-256. null until the job is done.")


class FileEntry(BaseModel):
    """A file of a job."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Name of the file in the folder of the job, with slashes.")
    bytes: _Count
    url: str


class Files(BaseModel):
    """One page of the files of a job: of those that exist, in the order of the plan."""

    files: tuple[FileEntry, ...]
    next_url: str | None = Field(description="URL of the next page. null on the last page.")


class Jobs(BaseModel):
    """One page of the list of jobs, newest first."""

    jobs: tuple[JobSummary, ...]
    total: _Count = Field(description="Number of all jobs.")
    next_url: str | None = Field(description="URL of the next page, with older jobs. null on the last page.")


def job_path(job_id: str) -> str:
    """Return the URL path of a job.

    Args:
        job_id: Id of the job.
    """
    return f"/v1/jobs/{job_id}"


def document_of(job: Job, prefix: str = "") -> JobDocument:
    """Return the document of a job.

    Args:
        job: The job.
        prefix: Path prefix of all URLs.
    """
    plan, summary = job.plan, summary_of(job, prefix)
    return JobDocument(
        **summary.model_dump(exclude={"images_done", "seconds_left"}),
        generators=tuple(JobGenerator(model=each.card.name, digest=each.model) for each in plan.generators),
        images_done=job.images_done,
        seconds_left=_seconds_left(plan.count - job.images_done, job.progress),
        shards_done=job.shards_done,
        bytes=job.bytes,
        seeds=plan.seeds if len(plan.seeds) <= _MAX_SEEDS_LENGTH else plan.seeds[:_MAX_SEEDS_LENGTH] + "...",
        splits=None if plan.splits is None else {split.reader_name: split.count for split in plan.layout},
        labels=plan.labels,
        truncation=plan.truncation,
        filter=None if plan.filter is None else plan.filter.rule,
        shard_size=plan.shard_size,
        files_url=f"{summary.url}/files/{{+file}}",
        index_url=f"{summary.url}/files",
        manifest_url=f"{summary.url}/files/{MANIFEST}" if job.state == "done" else None,
    )


def summary_of(job: JobEntry, prefix: str = "") -> JobSummary:
    """Return the summary of a job for the list, without reading the files of the job.

    Args:
        job: The job.
        prefix: Path prefix of all URLs.
    """
    record, progress = job.record, job.progress
    images_done: int | None = None
    if progress is not None:
        images_done = progress.images
    elif record.state == "done":
        images_done = record.images
    return JobSummary(
        id=job.id,
        url=prefix + job_path(job.id),
        state=job.state,
        submitted=record.submitted,
        model=record.model,
        digest=record.digest,
        format=record.format,
        images=record.images,
        images_done=images_done,
        shards=record.shards,
        images_per_second=None if progress is None or progress.rate is None else round(progress.rate, 1),
        seconds_left=None if images_done is None else _seconds_left(record.images - images_done, progress),
        error=record.error,
    )


def _seconds_left(images_left: int, progress: JobProgress | None) -> float | None:
    return None if progress is None or not progress.rate else round(images_left / progress.rate, 1)

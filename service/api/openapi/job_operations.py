"""The operations of jobs, for `/openapi.json`. A path may stand here twice, for GET and for POST."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from seedmint.models.card import ImageOutput
from seedmint.service.api.jobs.files import MEDIA_TYPES
from seedmint.service.api.jobs.pagination import BEFORE, MAX_LISTED
from seedmint.service.api.jobs.requests import JobRequest
from seedmint.service.api.jobs.schemas import JobPage, Jobs
from seedmint.service.api.openapi.operations import JSON, Answer, Operation
from seedmint.service.jobs.store import ID_DIGITS
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings

MODELS: tuple[tuple[type[BaseModel], JsonSchemaMode], ...] = (
    (JobRequest, "validation"),
    (Jobs, "serialization"),
    (JobPage, "serialization"),
)

_PAGE = {200: Answer("The job as it is now.", {JSON: "JobPage"})}
_DISK = (503, 504)
_FILE_HEADERS = ("ETag", "Cache-Control", "Accept-Ranges", "X-Content-Type-Options")
_TYPES: dict[str, str | None] = {text.partition(";")[0]: None for text in MEDIA_TYPES.values()}

OPERATIONS: tuple[tuple[str, Operation], ...] = (
    (
        "/v1/jobs",
        Operation(
            "listJobs",
            "jobs",
            "The newest jobs",
            {200: Answer("Newest first.", {JSON: "Jobs"})},
            (400, 422, *_DISK),
            ("Limit", "Before"),
        ),
    ),
    (
        "/v1/jobs",
        Operation(
            "submitJob",
            "jobs",
            "Ask for a data set, in shards. The same request is the same job; one that failed or was cancelled goes on",
            {
                200: Answer("The job that there was, as it is now.", {JSON: "JobPage"}, ("Cache-Control", "Location")),
                201: Answer("The new job.", {JSON: "JobPage"}, ("Cache-Control", "Location")),
            },
            (400, 404, 408, 413, 415, 422, 429, 507, *_DISK),
            method="post",
            body="JobRequest",
        ),
    ),
    ("/v1/jobs/{job}", Operation("getJob", "jobs", "One job, and how far it is", _PAGE, (404, *_DISK), ("Job",))),
    (
        "/v1/jobs/{job}/cancel",
        Operation(
            "cancelJob",
            "jobs",
            "Stop a job that waits or runs. What is made of it stays",
            _PAGE,
            (404, 507, *_DISK),
            ("Job",),
            method="post",
            body=None,
        ),
    ),
    (
        "/v1/jobs/{job}/files/{name:path}",
        Operation(
            "getJobFile",
            "jobs",
            "A file of a job",
            {
                200: Answer("The file, streamed.", _TYPES, (*_FILE_HEADERS, "Content-Disposition")),
                304: Answer("The client's copy is current.", {}, _FILE_HEADERS),
            },
            (404, *_DISK),
            ("Job", "FileName", "IfNoneMatch"),
        ),
    ),
)


def job_parameters() -> dict[str, Any]:
    """Of these operations, by name."""
    job = {"type": "string", "pattern": f"^[0-9a-f]{{{ID_DIGITS}}}$"}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": MAX_LISTED}
    before = {"type": "string", "pattern": f"^{BEFORE}$"}
    return {
        "Limit": {"name": "limit", "in": "query", "description": "Most jobs in an answer.", "schema": limit},
        "Before": {"name": "before", "in": "query", "description": "As next_url has it.", "schema": before},
        "Job": {"name": "job", "in": "path", "required": True, "description": "A job's id.", "schema": job},
        "FileName": {
            "name": "name",
            "in": "path",
            "required": True,
            "description": "A name in the job's folder, with its slashes.",
            "schema": {"type": "string", "minLength": 1},
            "example": "plan.json",
        },
    }


def finish_schemas(made: dict[str, Any], generators: Sequence[Generator], settings: Settings) -> None:
    """Put bounds and examples of what is served now into the schema of the body."""
    body = made["JobRequest"]
    for choice in body["properties"]["seeds"]["anyOf"]:
        if choice["type"] == "array":
            choice["maxItems"] = settings.max_job_images
    if generators:
        body["examples"] = [{"model": one.name, "seeds": "0-99", "format": _form(one), "shard_size": 50} for one in generators]


def _form(generator: Generator) -> str:
    return "webdataset" if isinstance(generator.card.output, ImageOutput) else "parquet"

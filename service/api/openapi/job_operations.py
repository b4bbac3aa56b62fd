"""The operations of the jobs API for `/openapi.json`. A path may occur twice, with GET and with POST."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from seedmint.service.api.jobs.files import MEDIA_TYPES
from seedmint.service.api.jobs.pagination import BEFORE, MAX_LIMIT
from seedmint.service.api.jobs.requests import JobRequest
from seedmint.service.api.jobs.schemas import JobDocument, Jobs
from seedmint.service.api.openapi.operations import JSON, Answer, Operation
from seedmint.service.batch.formats.base import default_format
from seedmint.service.jobs.job_record import ID_DIGITS
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings

MODELS: tuple[tuple[type[BaseModel], JsonSchemaMode], ...] = (
    (JobRequest, "validation"),
    (Jobs, "serialization"),
    (JobDocument, "serialization"),
)

_DOCUMENT = {200: Answer("The current state of the job.", {JSON: "JobDocument"})}
_DISK = (503, 504)
_FILE_HEADERS = ("ETag", "Cache-Control", "Accept-Ranges", "X-Content-Type-Options")
_TYPES: dict[str, str | None] = {text.partition(";")[0]: None for text in MEDIA_TYPES.values()}

OPERATIONS: tuple[tuple[str, Operation], ...] = (
    (
        "/v1/jobs",
        Operation(
            "listJobs",
            "jobs",
            "List jobs, newest first",
            {200: Answer("One page of the list, newest first.", {JSON: "Jobs"})},
            (400, 422, *_DISK),
            ("Limit", "Before"),
        ),
    ),
    (
        "/v1/jobs",
        Operation(
            "submitJob",
            "jobs",
            "Submit a job: a data set in shards. Equal requests are the same job; a failed or cancelled job is resumed",
            {
                200: Answer("The existing job.", {JSON: "JobDocument"}, ("Cache-Control", "Location")),
                201: Answer("The new job.", {JSON: "JobDocument"}, ("Cache-Control", "Location")),
            },
            (400, 404, 408, 413, 415, 422, 429, 507, *_DISK),
            method="post",
            body="JobRequest",
        ),
    ),
    ("/v1/jobs/{job}", Operation("getJob", "jobs", "Show a job and its progress", _DOCUMENT, (404, *_DISK), ("Job",))),
    (
        "/v1/jobs/{job}/cancel",
        Operation(
            "cancelJob",
            "jobs",
            "Cancel a job that is queued or running. Its finished shards stay",
            _DOCUMENT,
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
            "Download a file of a job",
            {
                200: Answer("The file.", _TYPES, (*_FILE_HEADERS, "Content-Disposition")),
                304: Answer("The copy of the client is current.", {}, _FILE_HEADERS),
            },
            (404, *_DISK),
            ("Job", "FileName", "IfNoneMatch"),
        ),
    ),
)


def job_parameters() -> dict[str, Any]:
    """Return the parameters of these operations, by name."""
    job = {"type": "string", "pattern": f"^[0-9a-f]{{{ID_DIGITS}}}$"}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": MAX_LIMIT}
    before = {"type": "string", "pattern": f"^{BEFORE}$"}
    return {
        "Limit": {"name": "limit", "in": "query", "description": "Largest number of jobs on a page.", "schema": limit},
        "Before": {
            "name": "before",
            "in": "query",
            "description": "Cursor of the next page, as in next_url.",
            "schema": before,
        },
        "Job": {"name": "job", "in": "path", "required": True, "description": "Id of the job.", "schema": job},
        "FileName": {
            "name": "name",
            "in": "path",
            "required": True,
            "description": "Name of the file in the folder of the job, with slashes.",
            "schema": {"type": "string", "minLength": 1},
            "example": "plan.json",
        },
    }


def finish_schemas(schemas: dict[str, Any], generators: Sequence[Generator], settings: Settings) -> None:
    """Add the bounds of the settings and examples of the served generators to the schema of the request body.

    Args:
        schemas: The schemas by name; changed in place.
        generators: The served generators.
        settings: The settings of the service.
    """
    body = schemas["JobRequest"]
    for choice in body["properties"]["seeds"]["anyOf"]:
        if choice["type"] == "array":
            choice["maxItems"] = settings.max_job_images
    if generators:
        body["examples"] = [
            {"model": generator.name, "seeds": "0-99", "format": default_format(generator.card), "shard_size": 50}
            for generator in generators
        ]

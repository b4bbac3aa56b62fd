"""The schemas and parameters of the jobs API for `/openapi.json`."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from seedmint.service.api.jobs.pagination import BEFORE, MAX_FILES, MAX_LIMIT, MAX_WAIT_SECONDS
from seedmint.service.api.jobs.requests import JobRequest
from seedmint.service.api.jobs.schemas import Files, JobDocument, Jobs
from seedmint.service.batch.formats.base import default_format
from seedmint.service.jobs.job_record import ID_DIGITS
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings

MODELS: tuple[tuple[type[BaseModel], JsonSchemaMode], ...] = (
    (JobRequest, "validation"),
    (Jobs, "serialization"),
    (JobDocument, "serialization"),
    (Files, "serialization"),
)


def job_parameters() -> dict[str, Any]:
    """Return the parameters of these operations, by name."""
    job = {"type": "string", "pattern": f"^[0-9a-f]{{{ID_DIGITS}}}$"}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": MAX_LIMIT}
    before = {"type": "string", "pattern": f"^{BEFORE}$"}
    file_limit = {"type": "integer", "minimum": 1, "maximum": MAX_FILES, "default": MAX_FILES}
    wait = {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0}
    after = {"type": "integer", "minimum": 0, "maximum": 10**9 - 1, "default": 0}
    return {
        "Wait": {
            "name": "wait",
            "in": "query",
            "description": "Seconds to wait for a change.",
            "schema": wait,
        },
        "FileLimit": {
            "name": "limit",
            "in": "query",
            "description": "Largest number of files on a page.",
            "schema": file_limit,
        },
        "After": {"name": "after", "in": "query", "description": "Cursor of the next page, as in next_url.", "schema": after},
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
        if choice.get("type") == "array":
            choice["maxItems"] = settings.max_job_images
    if generators:
        body["examples"] = [
            {"model": generator.name, "seeds": "0-99", "format": default_format(generator.card), "shard_size": 50}
            for generator in generators
        ]

"""The route table of the jobs API. The module is imported only where jobs are enabled."""

from seedmint.service.api.jobs.files import MEDIA_TYPES
from seedmint.service.api.jobs.handlers import JobHandlers
from seedmint.service.api.openapi.operations import JSON, Answer, Operation
from seedmint.service.api.routing.endpoint import Endpoint

_DOCUMENT = {200: Answer("The current state of the job.", {JSON: "JobDocument"})}
_DISK = (503, 504)
_FILE_HEADERS = ("ETag", "Cache-Control", "Accept-Ranges", "X-Content-Type-Options")
_TYPES: dict[str, str | None] = {text.partition(";")[0]: None for text in MEDIA_TYPES.values()}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "/v1/jobs",
        JobHandlers.jobs,
        Operation(
            "listJobs",
            "jobs",
            "Lists jobs, newest first",
            {200: Answer("One page of the list, newest first.", {JSON: "Jobs"})},
            (400, 422, *_DISK),
            ("Limit", "Before"),
        ),
    ),
    Endpoint(
        "/v1/jobs",
        JobHandlers.submit,
        Operation(
            "submitJob",
            "jobs",
            "Submits a job: a data set in shards. Equal requests are the same job; a failed or cancelled job is resumed",
            {
                200: Answer("The existing job.", {JSON: "JobDocument"}, ("Cache-Control", "Location")),
                201: Answer("The new job.", {JSON: "JobDocument"}, ("Cache-Control", "Location")),
            },
            (400, 404, 408, 413, 415, 422, 429, 507, *_DISK),
            method="post",
            body="JobRequest",
        ),
    ),
    Endpoint(
        "/v1/jobs/{job}",
        JobHandlers.job,
        Operation(
            "getJob",
            "jobs",
            "Returns a job and its progress. With wait, the response waits for the next finished shard or the end of the job",
            _DOCUMENT,
            (400, 404, 422, *_DISK),
            ("Job", "Wait"),
        ),
    ),
    Endpoint(
        "/v1/jobs/{job}",
        JobHandlers.remove,
        Operation(
            "deleteJob",
            "jobs",
            "Cancels a job and removes its files",
            {204: Answer("The job and its files do not exist any more.", {})},
            (404, 409, *_DISK),
            ("Job",),
            method="delete",
        ),
    ),
    Endpoint(
        "/v1/jobs/{job}/files",
        JobHandlers.files,
        Operation(
            "listJobFiles",
            "jobs",
            "Lists the files of a job that exist, with their sizes",
            {200: Answer("One page of the list.", {JSON: "Files"})},
            (400, 404, 422, *_DISK),
            ("Job", "FileLimit", "After"),
        ),
    ),
    Endpoint(
        "/v1/jobs/{job}/cancel",
        JobHandlers.cancel,
        Operation(
            "cancelJob",
            "jobs",
            "Cancels a job that is queued or running. Its finished shards stay",
            _DOCUMENT,
            (404, 507, *_DISK),
            ("Job",),
            method="post",
            body=None,
        ),
    ),
    Endpoint(
        "/v1/jobs/{job}/files/{name:path}",
        JobHandlers.file,
        Operation(
            "getJobFile",
            "jobs",
            "Returns a file of a job",
            {
                200: Answer("The file.", _TYPES, (*_FILE_HEADERS, "Content-Disposition")),
                206: Answer("A range of bytes.", _TYPES, (*_FILE_HEADERS, "Content-Disposition", "Content-Range")),
                304: Answer("The copy of the client is current.", {}, _FILE_HEADERS),
            },
            (404, 416, *_DISK),
            ("Job", "FileName", "Range", "IfRange", "IfNoneMatch"),
        ),
    ),
)

"""The specification of the HTTP service, OpenAPI 3.1: the operations, and what their values may be by the code's own bounds."""

from collections.abc import Sequence

from seedmint.service.api.openapi.components import HEADERS, PROBLEMS, SECURITY, Json, parameters, reference, schemas
from seedmint.service.api.openapi.operations import JSON, OPERATIONS, Answer, Operation
from seedmint.service.problems import MEDIA_TYPE
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings

_ABOUT = (
    "A seed is an address: the same seed of the same generator is the same image, on every machine, in every batch, for ever. "
    "An address with the first 12 digits of a generator's digest never changes, and may be kept by any cache; one without "
    "them redirects to it. Every answer has an X-Request-Id: the client's own, if it sent a sane one, or else a new one. "
    "Where GET is answered, HEAD is. The bounds shown are those of the generators served here now."
)
_TAGS = {
    "images": "Pictures by seed.",
    "samples": "Rows of numbers and series by seed.",
    "generators": "What is served here.",
    "service": "Pages, probes, metrics.",
}
_JOBS = "Data sets of many images or samples, made in shards beside the service, to be fetched as files."

_EVERYWHERE = (405, 500)


def specification(generators: Sequence[Generator], settings: Settings) -> Json:
    """The whole document, for the generators served now."""
    operations, tags = list(OPERATIONS.items()), dict(_TAGS)
    if settings.jobs_url is not None:
        from seedmint.service.api.openapi.job_operations import OPERATIONS as JOB_OPERATIONS

        operations += JOB_OPERATIONS
        tags["jobs"] = _JOBS
    paths: Json = {}
    for route, operation in operations:
        paths.setdefault(address_template(route), {}).update(_path(operation, settings))
    locked: Json = {"security": [{"bearer": []}, {"key": []}]} if settings.needs_keys else {}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Seedmint",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in tags.items()],
        **locked,
        "paths": paths,
        "components": {
            "schemas": schemas(generators, settings),
            "parameters": parameters(generators, settings),
            "headers": {
                name: {"description": text, "required": True, "schema": schema} for name, (text, schema) in HEADERS.items()
            },
            "responses": {f"Problem{status}": _problem(status) for status in PROBLEMS},
            **({"securitySchemes": SECURITY} if locked else {}),
        },
    }


def address_template(route: str) -> str:
    """A route's path as the specification writes it: a file is a seed and a format, or a fixed word and a format."""
    return route.replace(":path}", "}").replace("/{file}", "/{seed}.{format}").replace(".{file}", ".{format}")


def _path(operation: Operation, settings: Settings) -> Json:
    answers = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    problems = {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in _statuses(operation, settings)}
    described: Json = {"operationId": operation.name, "tags": [operation.tag], "summary": operation.summary}
    if operation.unlocked:
        described["security"] = []
    if operation.parameters:
        described["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in operation.parameters]
    if operation.method == "post":
        body = {"required": True, "content": {JSON: {"schema": reference(operation.body)}}} if operation.body else None
        return {"post": described | ({"requestBody": body} if body else {}) | {"responses": answers | problems}}
    without_body = {str(status): {**_problem(status), "content": {}} for status in _statuses(operation, settings)}
    head = {status: {**answer, "content": {}} for status, answer in answers.items()} | without_body
    for response in head.values():
        response.pop("content")
    return {
        "get": described | {"responses": answers | problems},
        "head": described | {"operationId": f"{operation.name}Head", "responses": head},
    }


def _statuses(operation: Operation, settings: Settings) -> list[int]:
    """The problems that an operation may answer with, under these settings."""
    found = {*_EVERYWHERE, *operation.problems}
    if not operation.unlocked:
        found |= {401} if settings.needs_keys else set()
        found |= {429} if settings.requests_per_second else set()
    if not operation.served_while_stopping:
        found.add(503)
    return sorted(found)


def _answer(answer: Answer) -> Json:
    content = {media_type: {"schema": reference(name)} if name else {} for media_type, name in answer.content.items()}
    return {"description": answer.description, "headers": _headers(answer.headers), "content": content}


def _problem(status: int) -> Json:
    text, example, headers = PROBLEMS[status]
    content = {"schema": reference("Problem"), "example": example.document()}
    return {"description": text, "headers": _headers(("Cache-Control", *headers)), "content": {MEDIA_TYPE: content}}


def _headers(names: Sequence[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}

"""The OpenAPI 3.1 document of the HTTP service. The bounds of parameters are the bounds that the code checks."""

from collections.abc import Sequence

from seedmint.models.version import __version__
from seedmint.service.api.openapi.code_samples import SampleWriter
from seedmint.service.api.openapi.components import HEADERS, PROBLEMS, SECURITY, Json, parameters, reference, schemas
from seedmint.service.api.openapi.operations import JSON, Answer, Operation
from seedmint.service.problems import MEDIA_TYPE
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings

_ABOUT = (
    "Each image has a URL: the same seed of the same generator gives the same image, on every machine and in every batch. "
    "A URL with the first 12 digits of a generator's digest is pinned: its response never changes, and every cache may keep "
    "it. A URL without the digest redirects to the pinned URL of the current version. Every response has an X-Request-Id: "
    "the X-Request-Id of the request if it is valid, otherwise a new ID. Every URL that answers GET answers HEAD. The bounds "
    "below are the bounds of the generators that this server serves now."
)
_TAGS = {
    "images": "Images by seed.",
    "samples": "Samples by seed: rows of numbers, and series.",
    "inference": "The Open Inference Protocol, version 2, of KServe and Triton.",
    "generators": "The generators of this server.",
    "service": "Pages, probes and metrics.",
}
_JOBS = "Data sets of many images or samples. Jobs generate them in shards; the files can be downloaded."

_EVERYWHERE = (405, 500)


def specification(
    generators: Sequence[Generator], settings: Settings, operations: Sequence[tuple[str, Operation]], prefix: str = ""
) -> Json:
    """Return the OpenAPI document.

    Args:
        generators: The generators that are served. They determine bounds and examples.
        settings: The settings of the service.
        operations: Path template and operation of each route.
        prefix: Path prefix of all URLs.
    """
    tags = _TAGS if settings.jobs_url is None else _TAGS | {"jobs": _JOBS}
    components = {"schemas": schemas(generators, settings), "parameters": parameters(generators, settings)}
    samples = SampleWriter(components["parameters"], components["schemas"], f"http://localhost:{settings.port}{prefix}")
    paths: Json = {}
    for route, operation in operations:
        path = url_template(route)
        needs_key = settings.needs_keys and not operation.is_public and not operation.is_page
        code = samples.samples(path, operation, needs_key)
        paths.setdefault(path, {}).update(_path(operation, settings, code))
    locked: Json = {"security": [{"bearer": []}, {"key": []}]} if settings.needs_keys else {}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Seedmint",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": prefix or "/"}],
        "tags": [{"name": name, "description": text} for name, text in tags.items()],
        **locked,
        "paths": paths,
        "components": {
            **components,
            "headers": {
                name: {"description": text, "required": True, "schema": schema} for name, (text, schema) in HEADERS.items()
            },
            "responses": {f"Problem{status}": _problem(status) for status in PROBLEMS},
            **({"securitySchemes": SECURITY} if locked else {}),
        },
    }


def url_template(route: str) -> str:
    """Return the path of a route as the OpenAPI document writes it: `{file}` is a seed and a format, or only a format.

    Args:
        route: Path template of Starlette.
    """
    return (
        route.replace(":path}", "}")
        .replace(":int}", "}")
        .replace("/{file}", "/{seed}.{format}")
        .replace(".{file}", ".{format}")
    )


def _path(operation: Operation, settings: Settings, code: list[Json]) -> Json:
    answers = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    problems = {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in _statuses(operation, settings)}
    described: Json = {"operationId": operation.name, "tags": [operation.tag], "summary": operation.summary}
    if operation.is_public or operation.is_page:
        described["security"] = []
    if operation.parameters:
        described["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in operation.parameters]
    samples: Json = {"x-codeSamples": code} if code else {}
    if operation.method != "get":
        if operation.method == "post" and operation.body is not None:
            described["requestBody"] = {"required": True, "content": _body_content(operation)}
        return {operation.method: described | samples | {"responses": answers | problems}}
    without_body = {str(status): {**_problem(status), "content": {}} for status in _statuses(operation, settings)}
    head = {status: {**answer, "content": {}} for status, answer in answers.items()} | without_body
    for response in head.values():
        response.pop("content")
    return {
        "get": described | samples | {"responses": answers | problems},
        "head": described | {"operationId": f"{operation.name}Head", "x-scalar-ignore": True, "responses": head},
    }


def _body_content(operation: Operation) -> Json:
    assert operation.body is not None
    content: Json = {JSON: {"schema": reference(operation.body)}}
    return content | {media_type: {"schema": _schema(media_type, None)} for media_type in operation.binary_bodies}


def _statuses(operation: Operation, settings: Settings) -> list[int]:
    """Return the statuses of the problems that an operation can have with these settings."""
    found = {*_EVERYWHERE, *operation.problems}
    if not operation.is_public:
        found |= {401, 403} if settings.needs_keys and not operation.is_page else set()
        found |= {429} if settings.requests_per_second else set()
    if not operation.served_while_draining:
        found.add(503)
    return sorted(found)


def _answer(answer: Answer) -> Json:
    content = {media_type: {"schema": _schema(media_type, name)} for media_type, name in answer.content.items()}
    return {"description": answer.description, "headers": _headers(answer.headers), "content": content}


def _schema(media_type: str, name: str | None) -> Json:
    """Return the schema of a body. Without the schema, generated clients return nothing for a file."""
    if name is not None:
        return reference(name)
    if media_type == JSON:
        return {"type": "object"}
    return {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}


def _problem(status: int) -> Json:
    text, example, headers = PROBLEMS[status]
    content = {"schema": reference("Problem"), "example": example.document()}
    return {"description": text, "headers": _headers(("Cache-Control", *headers)), "content": {MEDIA_TYPE: content}}


def _headers(names: Sequence[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}

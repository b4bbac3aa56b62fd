"""The description of one operation for the OpenAPI document. The route table has one for each route."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Tag = Literal["images", "samples", "generators", "inference", "jobs", "service"]

HTML = "text/html"
JSON = "application/json"
BINARY = "application/octet-stream"
NPY = "application/x-npy"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that is not a problem.

    Attributes:
        description: One sentence.
        content: Media types, each with the name of its schema or None.
        headers: Names in `components/headers`, besides X-Request-Id, which every response has.
    """

    description: str
    content: dict[str, str | None]
    headers: tuple[str, ...] = ("Cache-Control",)


@dataclass(frozen=True, slots=True)
class Operation:
    """The operation of a route for GET (and HEAD), or for POST.

    Attributes:
        name: `operationId`; the `operationId` of HEAD ends in `Head`.
        tag: The section of the reference page.
        summary: One sentence without a full stop.
        answers: Responses that are not problems, by status.
        problems: Statuses of problems, besides the problems of every route.
        parameters: Names in `components/parameters`.
        method: "get" also describes HEAD.
        body: Schema of the body of a POST request; None without a body.
        binary_bodies: Other media types of the body, of binary data.
        is_page: Whether the response is a page, which needs no API key: its scripts send the key.
        is_public: Whether the operation needs no API key and has no rate limit.
        served_while_draining: Whether the server also answers while it shuts down.
    """

    name: str
    tag: Tag
    summary: str
    answers: dict[int, Answer]
    problems: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    method: Literal["get", "post", "delete"] = "get"
    body: str | None = "SampleRequest"
    binary_bodies: tuple[str, ...] = ()
    is_page: bool = False
    is_public: bool = False
    served_while_draining: bool = False


def media_types(by_format: Mapping[Any, str], schemas: dict[str, str] | None = None) -> dict[str, str | None]:
    """Return the content of an answer from media types by format.

    Args:
        by_format: Media types, with or without parameters.
        schemas: Names of schemas by format.
    """
    return {text.partition(";")[0]: (schemas or {}).get(form) for form, text in by_format.items()}

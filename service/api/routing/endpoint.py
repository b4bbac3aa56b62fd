"""A row of a route table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from seedmint.service.api.openapi.operations import Operation
from seedmint.service.api.request_body import max_body_bytes
from seedmint.service.settings import Settings

Handler = Callable[[Any, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of a route. A path with GET and POST has two.

    Attributes:
        path: Path template.
        handler: A method of the handlers of the table, with the parser of the URL if it has one; None if BentoML's application
            answers.
        operation: Description for the OpenAPI document. Its method is the method of the route.
        max_body_bytes: Returns the maximum size of a request body in bytes, from the settings.
    """

    path: str
    handler: Handler | None
    operation: Operation
    max_body_bytes: Callable[[Settings], int] = max_body_bytes

"""JSON bodies of requests, read within limits of size and time."""

import asyncio
import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from seedmint.models.seeds import LONGEST_QUOTE, quoted
from seedmint.service.problems import Problem
from seedmint.service.settings import Settings

JSON = "application/json"
_BYTES_PER_SEED = 32  # more than the longest seed and label of a list, with commas and spaces
_OTHER_BYTES = 64 << 10
_MAX_BYTES_IN_FLIGHT = 128 << 20  # of all bodies that this process reads at the same time

_bytes_in_flight = 0

Body = TypeVar("Body", bound=BaseModel)


def max_body_bytes(settings: Settings) -> int:
    """Return the maximum size of a request body in bytes, for the parameter `max_body_size` of a route.

    Args:
        settings: The settings of the service.
    """
    return settings.max_body_bytes or settings.max_seeds * _BYTES_PER_SEED + _OTHER_BYTES


def media_type_of(request: Request) -> str:
    """Return the media type of the body of a request, in lower case; JSON if the request has none.

    Args:
        request: The request.
    """
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()


async def read_body(request: Request, settings: Settings, media_types: tuple[str, ...] = (JSON,)) -> bytes:
    """Read the body of a request. The route limits the size of the body.

    Args:
        request: The request.
        settings: The settings of the service.
        media_types: Allowed media types of the body.

    Raises:
        Problem: 408, 415, or 429 if too many bodies are being read.
        HTTPException: 413.
        ClientDisconnect: The client has disconnected.
    """
    if media_type_of(request) not in media_types:
        raise Problem(415, f"send a body with Content-Type: {' or '.join(media_types)}", "Content-Type")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        headers = {"Accept-Encoding": "identity"}
        raise Problem(415, "send a body without Content-Encoding: it must not be compressed", "Content-Encoding", headers)
    global _bytes_in_flight
    body = bytearray()
    try:
        async with asyncio.timeout(settings.timeout_seconds):
            async for part in request.stream():
                if _bytes_in_flight + len(part) > _MAX_BYTES_IN_FLIGHT:
                    headers = {"Retry-After": "1", "Connection": "close"}
                    raise Problem(429, "too many bodies are being read", headers=headers)
                _bytes_in_flight += len(part)
                body += part
    except TimeoutError:
        detail = f"the body did not arrive within {settings.timeout_seconds:g} seconds"
        raise Problem(408, detail, "body", {"Connection": "close"}) from None
    finally:
        _bytes_in_flight -= len(body)
    return bytes(body)


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    """
    Raises:
        Problem: A key is repeated.
    """
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise Problem(400, f"the key {quoted(key)} is repeated", key[:LONGEST_QUOTE], reason="repeated_field")
        seen.add(key)


def parse_body(kind: type[Body], body: bytes) -> Body:
    """Parse a JSON body. Call this in a thread for large bodies, because the parsing is slow.

    Args:
        kind: Model of the body.
        body: The JSON text; empty for an empty object.

    Raises:
        Problem: 400, `field` names the first invalid field.
    """
    try:
        document = from_json(body or b"{}")
        json.loads(body or b"{}", object_pairs_hook=_check_keys)  # `from_json` keeps the last value of a repeated key
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}", "body") from None
    if not isinstance(document, dict):
        raise Problem(400, "the body must be a JSON object", "body")
    fields = kind.model_fields
    for field in document:  # stops at the first unknown field; pydantic would collect all of them
        if field not in fields:
            detail = f"unknown field {quoted(field)}: use {', '.join(fields)}"
            raise Problem(400, detail, field[:LONGEST_QUOTE], reason="unknown_field")
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise Problem.malformed(error.errors(include_url=False, include_context=False, include_input=False)) from None

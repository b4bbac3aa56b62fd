"""Bodies of requests: JSON, read whole, within bounds of size and time."""

import asyncio
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from seedmint.models.seeds import LONGEST_QUOTE, quoted
from seedmint.service.problems import Problem
from seedmint.service.settings import Settings

_BYTES_A_SEED = 32  # the longest seed and label of a list, with comma and space, take less
_BYTES_BESIDE = 64 << 10
_MOST_UNDER_WAY = 128 << 20  # bytes of all bodies of a process that are being read

_under_way = 0

Asked = TypeVar("Asked", bound=BaseModel)


async def read_body(request: Request, settings: Settings) -> bytes:
    """The body of a request.

    Raises:
        Problem: 408, 413, 415, or 429 while too many others are read.
        ClientDisconnect: the client has gone.
    """
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "send a body with Content-Type: application/json", "Content-Type")
    most = settings.max_body_bytes or settings.max_seeds * _BYTES_A_SEED + _BYTES_BESIDE
    too_large = Problem(413, f"the body is larger than {most} bytes", "body", {"Connection": "close"})
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > most:
        raise too_large
    global _under_way
    body = bytearray()
    try:
        async with asyncio.timeout(settings.timeout_seconds):
            async for part in request.stream():
                if _under_way + len(part) > _MOST_UNDER_WAY:
                    raise Problem(429, "too many bodies are being read", headers={"Retry-After": "1", "Connection": "close"})
                _under_way += len(part)
                body += part
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        detail = f"the body did not arrive within {settings.timeout_seconds:g} seconds"
        raise Problem(408, detail, "body", {"Connection": "close"}) from None
    finally:
        _under_way -= len(body)
    return bytes(body)


def parse_body(kind: type[Asked], body: bytes) -> Asked:
    """What a JSON body asks for. It may be megabytes: not for the event loop.

    Raises:
        Problem: 400, naming the field.
    """
    try:
        document = from_json(body or b"{}")
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}", "body") from None
    if not isinstance(document, dict):
        raise Problem(400, "the body must be a JSON object", "body")
    fields = kind.model_fields
    for field in document:  # the first is told; validation would go on to gather them all
        if field not in fields:
            raise Problem(400, f"field {quoted(field)} is not known: {', '.join(fields)}", field[:LONGEST_QUOTE])
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise Problem.malformed(error.errors(include_url=False, include_context=False, include_input=False)) from None

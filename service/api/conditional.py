"""Responses of stored documents, with ETag and If-None-Match."""

from starlette.requests import Request
from starlette.responses import Response

from seedmint.service.api.etag import is_current


def if_none_match(request: Request) -> list[bytes]:
    """Return the values of all If-None-Match headers.

    Args:
        request: The request.
    """
    return [value for name, value in request.scope["headers"] if name == b"if-none-match"]


def conditional_response(request: Request, content: bytes, tag: str, headers: dict[str, str], media_type: str) -> Response:
    """Return a document, or 304 if the copy of the client is current.

    Args:
        request: The request.
        content: The document.
        tag: ETag of the document.
        headers: Response headers, besides ETag and Content-Type.
        media_type: Content-Type of the document.
    """
    headers = headers | {"ETag": tag}
    if is_current(if_none_match(request), tag):
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, media_type)

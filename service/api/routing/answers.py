"""Answers, statuses and headers that the OpenAPI operations of several routes share."""

from seedmint.service.api.openapi.operations import Answer

IMMUTABLE_HEADERS = ("ETag", "Cache-Control", "Accept-Ranges", "X-Content-Type-Options")
CANONICAL = Answer("Permanent redirect to the canonical URL.", {}, ("Location", "Cache-Control"))
CURRENT = Answer("Redirect to the pinned URL of the current version.", {}, ("Location", "Cache-Control"))
NEGOTIATED = Answer("Redirect to the URL with the format.", {}, ("Location", "Cache-Control", "Vary"))
INVALID = (400, 404, 422)  # an invalid URL
UNAVAILABLE = (429, 503, 504)  # the generator is overloaded, not ready or too slow


def immutable(
    description: str,
    content: dict[str, str | None],
    headers: tuple[str, ...] = IMMUTABLE_HEADERS,
    not_modified_headers: tuple[str, ...] | None = None,
) -> dict[int, Answer]:
    """Return the answers of an immutable resource. 304 has the headers of 200 unless others are given."""
    not_modified = Answer("The copy of the client is current.", {}, not_modified_headers or headers)
    return {200: Answer(description, content, headers), 304: not_modified, 308: CANONICAL}

"""Range requests (RFC 9110, section 14) for responses of known length: one range of bytes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from seedmint.service.problems import Problem

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,64})-([0-9]{0,64})[ \t]*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes of a response: all of them, or one range.

    Attributes:
        start: First byte.
        stop: End of the range, exclusive.
        size: Size of the whole content.
        is_partial: Whether the response has the status 206.
    """

    start: int
    stop: int
    size: int
    is_partial: bool

    @property
    def status(self) -> int:
        """Status of the response."""
        return 206 if self.is_partial else 200

    @property
    def headers(self) -> dict[str, str]:
        """Content-Length, Accept-Ranges and, of a partial response, Content-Range."""
        headers = {"Content-Length": str(self.stop - self.start), "Accept-Ranges": "bytes"}
        return headers | ({"Content-Range": f"bytes {self.start}-{self.stop - 1}/{self.size}"} if self.is_partial else {})


def requested_range(method: str, headers: Mapping[str, str], size: int, tag: str) -> ByteRange:
    """Return the bytes that a request asks for. A malformed range, or several ranges, count as no range.

    Args:
        method: HTTP method. Only GET has ranges.
        headers: Request headers.
        size: Size of the whole content in bytes.
        tag: ETag of the content. A weak tag does not satisfy If-Range.

    Raises:
        Problem: 416, the range is not within the content.
    """
    whole = ByteRange(0, size, size, is_partial=False)
    match = _RANGE.fullmatch(headers.get("range", ""))
    if method != "GET" or match is None or match[1] == match[2] == "":
        return whole
    condition = headers.get("if-range")
    if condition is not None and (condition.strip() != tag or tag.startswith("W/")):
        return whole
    if match[1] == "":  # the last bytes
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), size if match[2] == "" else min(size, int(match[2]) + 1)
        if match[2] != "" and int(match[2]) < start:
            return whole
    if start >= stop:
        raise Problem(416, f"the content has {size} bytes", "Range", {"Content-Range": f"bytes */{size}"})
    return ByteRange(start, stop, size, is_partial=True)

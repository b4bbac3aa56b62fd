"""The static files of the pages: the explorer, and the reference of the HTTP API."""

import asyncio
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from seedmint.service.api.conditional import conditional_response

STATIC = Path(__file__).parent / "static"
ASSET_PATH = "/static/{file}"

_MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    compressed: bytes
    tag: str
    media_type: str


async def asset(request: Request) -> Response:
    """Return one file of a page, compressed if the client accepts gzip.

    Args:
        request: A request with the path parameter `file`.

    Raises:
        HTTPException: 404.
    """
    path = _paths().get(request.path_params["file"])
    if path is None:
        raise HTTPException(404)
    found = await asyncio.to_thread(_asset, path)  # the first request compresses the file
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers = _HEADERS | {"Content-Encoding": "gzip"}
        return conditional_response(request, found.compressed, f'"{found.tag}-gzip"', headers, found.media_type)
    return conditional_response(request, found.content, f'"{found.tag}"', _HEADERS, found.media_type)


@cache
def html(page: str) -> str:
    """Return the HTML of a page.

    Args:
        page: Name of the folder of the page.
    """
    return (STATIC / page / "index.html").read_text(encoding="utf-8")


@cache
def _paths() -> dict[str, Path]:
    """Return the path of each file by name. Names are unique over all pages."""
    return {path.name: path for path in STATIC.glob("*/*") if path.suffix in _MEDIA_TYPES}


@cache
def _asset(path: Path) -> _Asset:
    content = path.read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:16]
    return _Asset(content, gzip.compress(content, mtime=0), tag, _MEDIA_TYPES[path.suffix])

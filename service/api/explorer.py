"""The explorer: a page that shows the generators. The page consists of static files without a build step."""

import hashlib
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from seedmint.models.card import ImageOutput
from seedmint.service.api.conditional import conditional_response
from seedmint.service.runtime.generator import Generator

STATIC = Path(__file__).parent / "static" / "explorer"
ASSET_PATH = "/static/{file}"

_MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
_PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self' data: blob:; script-src 'self'; "
    "style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_PLAIN_SEEDS = "0-31"  # seeds of each generator on the page without JavaScript
_PLAIN_PLOTS = 4
_PLAIN_SIDE = 96  # approximate side of an image on that page, in pixels


def explorer_page(generators: list[Generator]) -> Response:
    """Return the page of the explorer.

    Args:
        generators: The generators on the page without JavaScript.
    """
    page = _page().replace("{noscript}", "".join(map(_static_html, generators)))
    return Response(page, 200, _PAGE_HEADERS, "text/html; charset=utf-8")


async def asset(request: Request) -> Response:
    """Return one file of the explorer.

    Args:
        request: A request with the path parameter `file`.

    Raises:
        HTTPException: 404.
    """
    files = _assets()
    name = request.path_params["file"]
    if name not in files:
        raise HTTPException(404)
    content, tag, media_type = files[name]
    return conditional_response(request, content, tag, _HEADERS, media_type)


@cache
def _page() -> str:
    return (STATIC / "index.html").read_text(encoding="utf-8")


@cache
def _assets() -> dict[str, tuple[bytes, str, str]]:
    """Return content, ETag and media type of each file by name."""
    files = {}
    for path in STATIC.iterdir():
        if path.suffix in _MEDIA_TYPES:
            content = path.read_bytes()
            files[path.name] = content, f'"{hashlib.sha256(content).hexdigest()[:16]}"', _MEDIA_TYPES[path.suffix]
    return files


def _static_html(generator: Generator) -> str:
    """Return a generator as HTML without a script: a contact sheet, or plots."""
    base = f"v1/models/{quote(generator.name)}@{generator.digest12}"
    output = generator.card.output
    title = f"<h2>{escape(generator.name)}</h2><p>{escape(generator.card.title)}</p>"
    if not isinstance(output, ImageOutput):
        samples = (f"{base}/samples/{seed}" for seed in range(_PLAIN_PLOTS))
        return title + "".join(f'<a href="{path}.json"><img src="{path}.png" alt="A sample"></a>' for path in samples)
    scale = max(1, round(_PLAIN_SIDE / max(output.width, output.height)))
    sheet = f"{base}/grid.webp?seeds={_PLAIN_SEEDS}&amp;columns=8" + (f"&amp;scale={scale}" if scale > 1 else "")
    image = f'<img src="{sheet}" alt="Images of seeds {_PLAIN_SEEDS}">'
    return f'{title}<p>{image}</p><p><a href="{base}/images/0.png">Image of seed 0</a></p>'

"""The pages: the explorer, which shows the generators, and the reference of the HTTP API. There is no build step."""

from html import escape
from urllib.parse import quote

from starlette.responses import Response

from seedmint.models.card import ImageOutput
from seedmint.service.api.static_files import html
from seedmint.service.runtime.generator import Generator

_PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self' data: blob:; script-src 'self'; "
    "style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_PLAIN_SEEDS = "0-31"  # seeds of each generator on the page without JavaScript
_PLAIN_PLOTS = 4
# The request of the scripts has the same mode and credentials. With a key, the request would have another header.
_PRELOAD = '<link rel="preload" as="fetch" href="v1/models" crossorigin="anonymous">\n'
_PLAIN_SIDE = 96  # approximate side of an image on that page, in pixels


_REFERENCE_HEADERS = {
    "Cache-Control": "no-cache",
    # Scalar sets styles of elements.
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self' data: blob:; font-src data:; "
    "script-src 'self'; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def reference_page() -> Response:
    """Return the reference of the HTTP API. A script of the page reads the OpenAPI document."""
    return Response(html("reference"), 200, _REFERENCE_HEADERS, "text/html; charset=utf-8")


def explorer_page(generators: list[Generator], is_public: bool) -> Response:
    """Return the page of the explorer.

    Args:
        generators: The generators on the page without JavaScript.
        is_public: Whether requests need no API key. Then the browser fetches the list of generators beside the scripts.
    """
    page = html("explorer").replace("{preload}", _PRELOAD if is_public else "")
    page = page.replace("{noscript}", "".join(map(_static_html, generators)))
    return Response(page, 200, _PAGE_HEADERS, "text/html; charset=utf-8")


def _static_html(generator: Generator) -> str:
    """Return a generator as HTML without a script: a contact sheet, plots, or links to strings."""
    base = f"v1/models/{quote(generator.name)}@{generator.digest12}"
    output = generator.card.output
    title = f"<h2>{escape(generator.name)}</h2><p>{escape(generator.card.title)}</p>"
    if not isinstance(output, ImageOutput):
        if output.is_text:
            links = (f'<a href="{base}/samples/{seed}.txt">String of seed {seed}</a>' for seed in range(_PLAIN_PLOTS))
            return f"{title}<p>{', '.join(links)}</p>"
        samples = (f"{base}/samples/{seed}" for seed in range(_PLAIN_PLOTS))
        return title + "".join(f'<a href="{path}.json"><img src="{path}.png" alt="A sample"></a>' for path in samples)
    scale = max(1, round(_PLAIN_SIDE / max(output.width, output.height)))
    larger = f"&amp;scale={scale}" if scale > 1 else ""
    sheet = f"{base}/grid.webp?columns=8{larger}&amp;seeds={_PLAIN_SEEDS}"
    image = f'<img src="{sheet}" alt="Images of seeds {_PLAIN_SEEDS}">'
    return f'{title}<p>{image}</p><p><a href="{base}/images/0.png">Image of seed 0</a></p>'

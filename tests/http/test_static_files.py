"""The files of the pages: compressed where the client accepts gzip, and revalidated by ETag."""

import gzip
import re

from seedmint.service.api.static_files import STATIC
from tests.support.servers import Server


def test_files_are_compressed_for_clients_that_accept_gzip(server: Server):
    expected = (STATIC / "reference/scalar.js").read_bytes()
    plain = server.client.get("/static/scalar.js", headers={"Accept-Encoding": "identity"})
    assert (plain.content, plain.headers.get("content-encoding")) == (expected, None)
    with server.client.stream("GET", "/static/scalar.js", headers={"Accept-Encoding": "br, gzip"}) as response:
        body = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == expected
    assert response.headers["etag"] != plain.headers["etag"]
    for known in (plain, response):
        headers = {"If-None-Match": known.headers["etag"], "Accept-Encoding": known.request.headers["accept-encoding"]}
        assert server.client.get("/static/scalar.js", headers=headers).status_code == 304


def test_other_files_are_not_served(server: Server):
    for name in ("index.html", "LICENSE.scalar.txt", "none.js", "..%2Fpages.py"):
        assert server.client.get(f"/static/{name}").status_code == 404


def test_the_explorer_stays_small():
    files = [path for path in (STATIC / "explorer").iterdir() if path.is_file()]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < 70_000  # bytes of the compressed responses
    assert len(files) < 40  # requests of a visitor who opens all views, besides their pictures


def test_the_browser_fetches_all_modules_of_the_explorer_at_once():
    """The page names the modules of the gallery; `LATER` in main.js names all others."""
    folder = STATIC / "explorer"
    first = re.findall(
        r'<link rel="modulepreload" href="static/([^"]+)\.js">', (folder / "index.html").read_text(encoding="utf-8")
    )
    (later,) = re.findall(r'^const LATER = "([a-z ]+)"', (folder / "main.js").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted([*first, *later.split(), "main"]) == sorted(path.stem for path in folder.glob("*.js"))
    for name in (*first, "main"):
        text = (folder / f"{name}.js").read_text(encoding="utf-8")
        assert set(re.findall(r'^import .* from "\./(.+)\.js";$', text, re.MULTILINE)) <= {*first}, name

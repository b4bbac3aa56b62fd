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
    assert sum(path.stat().st_size for path in files) < 150_000
    assert len(files) < 40  # requests of the first view, besides its pictures


def test_the_browser_fetches_all_modules_of_the_explorer_at_once():
    page = (STATIC / "explorer/index.html").read_text(encoding="utf-8")
    found = {path.name for path in (STATIC / "explorer").glob("*.js")}
    assert set(re.findall(r'<link rel="modulepreload" href="static/([^"]+)">', page)) == found - {"main.js"}

"""Contact sheets and walks: caching, ETags and errors."""

import pytest

from seedmint.service.api.query import SHEET_LIMITS
from tests.http.test_contact_sheets import base
from tests.http.test_images import runs
from tests.http.test_problems import check
from tests.support.servers import Server


@pytest.mark.parametrize(
    ("file", "media_type"),
    [
        ("grid.png?seeds=7-30", "image/png"),
        ("grid.webp?columns=3&seeds=7-30", "image/webp"),
        ("walk.webp?from=3&to=9", "image/webp"),
        ("walk.gif?from=3&to=9", "image/gif"),
        ("walk.png?from=3&to=9", "image/png"),
    ],
)
def test_a_picture_is_immutable_and_304_head_and_redirects_do_not_run_the_generator(server: Server, file: str, media_type: str):
    url, client = f"{base(server)}/{file}", server.client
    answer = client.get(url)
    tag = answer.headers["etag"]
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["accept-ranges"] == "none"
    before = runs(server)
    again = client.get(url, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    head = client.head(url)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
    redirected = client.get(f"/v1/models/rgb/{file}")
    assert (redirected.status_code, redirected.headers["cache-control"]) == (307, "no-store")
    assert redirected.headers["location"] == url
    assert runs(server) == before
    part = client.get(url, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (200, answer.content)


SHEETS = ["", "&columns=1", "&label=1", "&truncation=0.5", "&scale=2"]
WALKS = ["", "&frames=4", "&label=1", "&truncation=0.5", "&scale=2", "&duration=100", "&loop=1"]


def etag(server: Server, file: str) -> str:
    return server.client.head(f"{base(server)}/{file}", follow_redirects=True).headers["etag"]


def test_different_pictures_have_different_etags(server: Server):
    files = [
        *(f"grid.png?seeds=0-3{query}" for query in SHEETS),
        *("grid.png?seeds=3,2,1,0", "grid.png?seeds=0-4", "grid.webp?seeds=0-3"),
        *(f"walk.webp?from=0&to=3{query}" for query in WALKS),
        *("walk.webp?from=3&to=0", "walk.gif?from=0&to=3", "walk.png?from=0&to=3"),
    ]
    assert len({etag(server, file) for file in files}) == len(files)


INVALID = [
    ("grid.png", 400, "seeds"),
    ("grid.png?seeds=", 400, "seeds"),
    ("grid.png?seeds=1,,2", 400, "seeds"),
    ("grid.png?seeds=9-1", 400, "seeds"),
    ("grid.png?seeds=-1", 400, "seeds"),
    ("grid.png?seeds=1e3", 400, "seeds"),
    ("grid.png?seeds=9223372036854775808", 422, "seeds"),
    (f"grid.png?seeds=0-{SHEET_LIMITS.seeds}", 413, "seeds"),
    ("grid.png?seeds=0-9223372036854775807", 413, "seeds"),
    ("grid.png?columns=0&seeds=0-3", 422, "columns"),
    ("grid.png?columns=1025&seeds=0-3", 422, "columns"),
    ("grid.png?columns=two&seeds=0-3", 400, "columns"),
    ("grid.png?seeds=0-3&seeds=4", 400, "seeds"),
    ("grid.png?label=3&seeds=0-3", 422, "label"),
    ("grid.png?seeds=0-3&truncation=2", 422, "truncation"),
    ("grid.png?scale=257&seeds=0-3", 422, "scale"),
    ("grid.png?scale=256&seeds=0-3", 413, "scale"),
    ("grid.png?columns=1&seeds=0-1023", 413, "seeds"),
    ("grid.png?frames=3&seeds=0-3", 400, "frames"),
    ("grid.gif?seeds=0-3", 404, "format"),
    ("grid.npy?seeds=0-3", 404, "format"),
    ("walk.webp", 400, "from"),
    ("walk.webp?from=1", 400, "to"),
    ("walk.webp?from=1&to=", 400, "to"),
    ("walk.webp?from=-1&to=2", 400, "from"),
    ("walk.webp?from=01&to=2", 400, "from"),
    ("walk.webp?from=1&to=9223372036854775808", 422, "to"),
    ("walk.webp?frames=1&from=1&to=2", 422, "frames"),
    ("walk.webp?frames=257&from=1&to=2", 422, "frames"),
    ("walk.webp?frames=many&from=1&to=2", 400, "frames"),
    ("walk.webp?from=1&label=3&to=2", 422, "label"),
    ("walk.webp?from=1&to=2&truncation=0", 422, "truncation"),
    ("walk.webp?from=1&scale=257&to=2", 422, "scale"),
    ("walk.webp?from=1&scale=256&to=2", 413, "scale"),
    ("walk.png?from=1&scale=64&to=2", 413, "scale"),
    ("walk.webp?duration=0&from=1&to=2", 422, "duration"),
    ("walk.webp?duration=25&from=1&to=2", 422, "duration"),
    ("walk.webp?duration=10010&from=1&to=2", 422, "duration"),
    ("walk.webp?from=1&loop=1001&to=2", 422, "loop"),
    ("walk.png?duration=80&from=1&to=2", 400, "duration"),
    ("walk.png?from=1&loop=0&to=2", 400, "loop"),
    ("walk.webp?from=1&to=2&from=1", 400, "from"),
    ("walk.webp?from=1&seeds=1&to=2", 400, "seeds"),
    ("walk.npy?from=1&to=2", 404, "format"),
]


@pytest.mark.parametrize(("file", "status", "field"), INVALID)
def test_an_invalid_url_names_the_field(server: Server, file: str, status: int, field: str):
    before = runs(server)
    for url in (f"{base(server)}/{file}", f"/v1/models/rgb/{file}"):
        check(server.client.get(url), status, field)
    assert runs(server) == before


def test_generators_of_samples_and_other_versions_are_404(sample_server: Server, server: Server):
    for file in ("grid.png?seeds=0-3", "walk.png?from=0&to=3"):
        check(sample_server.client.get(f"{base(sample_server, 'point')}/{file}"), 404, "model")
        check(server.client.get(f"/v1/models/rgb@{'0' * 12}/{file}"), 404, "digest")
        check(server.client.get(f"/v1/models/nobody/{file}"), 404, "model")
        assert server.client.post(f"{base(server)}/{file}").status_code == 405

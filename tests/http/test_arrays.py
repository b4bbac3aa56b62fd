"""Arrays of many seeds at pinned URLs, and their ranges."""

import io

import numpy as np
import pytest

from seedmint.service.runtime.generator import Generator
from tests.http.test_images import runs
from tests.support.servers import Server

SEEDS = "0-149,7,9223372036854775807"
ROWS = np.array([*range(150), 7, 2**63 - 1])


def url(server: Server, model: str = "rgb", kind: str = "images") -> str:
    return f"{server.pinned(model).removesuffix('/images')}/{kind}.npy"


def test_an_array_is_immutable_and_has_the_bytes_of_a_bulk_request(server: Server, rgb: Generator):
    answer = server.client.get(f"{url(server)}?label=2&seeds={SEEDS}&truncation=0.5")
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), rgb.generate(ROWS, np.full(152, 2), 0.5))
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    body = {"model": "rgb", "seeds": SEEDS, "labels": 2, "truncation": 0.5, "format": "npy"}
    assert server.client.post("/v1/sample", json=body).content == answer.content
    before = runs(server)
    head = server.client.head(answer.url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(answer.content)))
    again = server.client.get(answer.url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert runs(server) == before


def test_any_range_has_the_bytes_of_the_whole(server: Server):
    path = f"{url(server)}?seeds={SEEDS}"
    whole = server.client.get(path)
    content, size = whole.content, len(whole.content)
    row = 8 * 8 * 3
    random = np.random.default_rng(0)
    cuts = [(0, 1), (5, 100), (120, 140), (128, 128 + row), (128 + row, 128 + 2 * row), (size - 1, size), (0, size)]
    cuts += [tuple(sorted(random.choice(size + 1, 2, replace=False))) for _ in range(30)]  # type: ignore[misc]
    for start, stop in cuts:
        part = server.client.get(path, headers={"Range": f"bytes={start}-{stop - 1}", "If-Range": whole.headers["etag"]})
        assert part.status_code == 206
        assert part.content == content[start:stop], (start, stop)
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    for start in (size, 10**30):
        problem = server.client.get(path, headers={"Range": f"bytes={start}-"})
        assert (problem.status_code, problem.headers["content-range"]) == (416, f"bytes */{size}")
        assert problem.json()["reason"] == "range_not_satisfiable"


def test_a_range_generates_only_its_rows(server: Server):
    before = runs(server)
    part = server.client.get(f"{url(server)}?seeds=0-9999", headers={"Range": "bytes=-192"})
    assert (part.status_code, len(part.content)) == (206, 192)
    assert runs(server) == before + 1


def test_samples_and_redirects(sample_server: Server, server: Server, point: Generator):
    answer = sample_server.client.get("/v1/models/point/samples.npy?truncation=1&seeds=3-5", follow_redirects=True)
    assert str(answer.url).endswith(f"{url(sample_server, 'point', 'samples')}?seeds=3-5")
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), point.generate(np.array([3, 4, 5])))
    redirect = server.client.get(f"{url(server)}?seeds=3,4,5&label=0")
    assert (redirect.status_code, redirect.headers["location"]) == (308, f"{url(server)}?label=0&seeds=3-5")


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("", 400, "seeds"),
        ("seeds=9-1", 400, "seeds"),
        ("seeds=0-9999999", 413, "seeds"),
        ("seeds=1&label=9", 422, "label"),
        ("seeds=1&scale=2", 400, "scale"),
        ("seeds=1&truncation=2", 422, "truncation"),
    ],
)
def test_invalid_queries(server: Server, query: str, status: int, field: str):
    problem = server.client.get(f"{url(server)}?{query}")
    assert (problem.status_code, problem.json()["field"]) == (status, field)


def test_the_url_of_the_other_kind_is_not_found(server: Server):
    assert server.client.get(f"{url(server, kind='samples')}?seeds=1").status_code == 404

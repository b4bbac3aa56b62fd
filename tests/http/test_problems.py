"""Invalid requests: the status, the media type, the field and the reason of the problem document."""

import json
import re
import socket

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from seedmint.service.api.openapi.specification import url_template
from seedmint.service.api.static_files import ASSET_PATH
from tests.support.servers import Server

IMAGES = [
    ("abc.png", 400, "seed"),
    ("-1.png", 400, "seed"),
    ("007.png", 400, "seed"),
    ("1e3.png", 400, "seed"),
    ("1_000.png", 400, "seed"),
    ("%2042.png", 400, "seed"),
    ("٣.png", 400, "seed"),
    ("NaN.png", 400, "seed"),
    (".png", 400, "seed"),
    (f"{1 << 63}.png", 422, "seed"),
    ("9" * 5000 + ".png", 422, "seed"),
    ("42.gif", 404, "format"),
    ("42.PNG", 404, "format"),
    ("42.png.png", 404, "format"),
    ("42.png?label=3", 422, "label"),
    ("42.png?label=999999999999", 400, "label"),
    ("42.png?label=-1", 400, "label"),
    ("42.png?label=01", 400, "label"),
    ("42.png?label=dog", 400, "label"),
    ("42.png?label=", 400, "label"),
    ("42.png?label=1&label=1", 400, "label"),
    ("42.png?truncation=0", 422, "truncation"),
    ("42.png?truncation=1.01", 422, "truncation"),
    ("42.png?truncation=-0.5", 422, "truncation"),
    ("42.png?truncation=nan", 400, "truncation"),
    ("42.png?truncation=1e-1", 400, "truncation"),
    ("42.png?scale=0", 422, "scale"),
    ("42.png?scale=257", 422, "scale"),
    ("42.png?scale=2.5", 400, "scale"),
    ("42.png?colour=red", 400, "colour"),
    ("42.png?" + "&".join(f"p{i}=1" for i in range(100)), 400, "query"),
]

UNDOCUMENTED = ("unmatched", ASSET_PATH)  # the files of the explorer are no part of the API


def check(answer: httpx.Response, status: int, field: str | None = None, reason: str | None = None) -> dict[str, object]:
    """Check a problem document, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem: dict[str, object] = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "reason"} | ({"field"} if field else set())
    assert problem["status"] == status
    assert problem.get("field") == field
    assert reason is None or problem["reason"] == reason
    assert re.fullmatch("[a-z_]+", str(problem["reason"]))
    assert problem["detail"]
    assert len(answer.content) < 1000
    assert "Traceback" not in answer.text
    return problem


@pytest.mark.parametrize(("file", "status", "field"), IMAGES)
def test_an_invalid_image_url_names_the_field(server: Server, file: str, status: int, field: str):
    check(server.client.get(f"{server.pinned('rgb')}/{file}"), status, field)
    # The URL without digest is an error as well, not a redirect.
    check(server.client.get(f"/v1/models/rgb/images/{file}"), status, field)


def test_a_label_of_an_unconditional_generator_is_422(server: Server):
    check(server.client.get(f"{server.pinned('grey')}/1.png?label=0"), 422, "label", "not_conditional")
    check(server.client.post("/sample", json={"model": "grey", "seeds": "1", "labels": 0}), 422, "labels", "not_conditional")


@pytest.mark.parametrize("tail", ["", "/images/1.png"])
def test_unknown_generators_and_versions_are_404(server: Server, tail: str):
    check(server.client.get(f"/v1/models/nope{tail}"), 404, "model", "unknown_model")
    check(server.client.get(f"/v1/models/rgb@{'0' * 12}{tail}"), 404, "digest", "unknown_version")
    check(server.client.get(f"/v1/models/rgb@{server.digest('rgb')}{tail}"), 404, "digest")
    check(server.client.get(f"/v1/models/rgb@{server.digest('rgb')[:12].upper()}x{tail}"), 404, "digest")


@pytest.mark.parametrize(
    "path",
    [
        *("/nope", "/v1", "/v1/models/", "/v1/models/rgb/images", "/v1/models/rgb/images/1/2.png", "/%00"),
        *("/docs.json", "/healthz", "/static_content/index.css"),  # of BentoML's application
    ],
)
def test_unknown_urls_are_404(server: Server, path: str):
    check(server.client.get(path), 404, reason="not_found")
    check(server.client.post(path, content=b"x", headers={"Content-Type": "text/plain"}), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("DELETE", "/v1/models/rgb/images/1.png", {"GET", "HEAD"}),
        ("PUT", "/", {"GET", "HEAD"}),
        ("GET", "/sample", {"POST"}),
        ("GET", "/v1/sample", {"POST"}),
    ],
)
def test_a_wrong_method_is_405_with_the_allowed_methods(server: Server, method: str, path: str, allowed: set[str]):
    answer = server.client.request(method, path, content=b"x", headers={"Content-Type": "text/plain"})
    check(answer, 405)
    assert {name.strip() for name in answer.headers["allow"].split(",")} == allowed


JSON = {"Content-Type": "application/json"}
OK = {"model": "rgb", "seeds": "0-3"}
BODIES = [
    (b"", 400, "model"),
    (b"{", 400, "body"),
    (b"[]", 400, "body"),
    (b"null", 400, "body"),
    (b'"text"', 400, "body"),
    (b"\xff\xfe", 400, "body"),
    (b'{"model": "rgb", "seeds": [NaN]}', 400, "seeds"),
    (b'{"model": "rgb", "seeds": [1e3]}', 400, "seeds"),
    (b'{"model": "rgb", "seeds": 5}', 400, "seeds"),
    (b'{"model": "rgb", "seeds": ' + b"[" * 100_000, 400, "body"),
    (b'{"model": "rgb", "seeds": [' + b"9" * 10_000 + b"]}", 400, "body"),
    ({"seeds": "0-3"}, 400, "model"),
    ({"model": "rgb"}, 400, "seeds"),
    (OK | {"model": 5}, 400, "model"),
    (OK | {"model": "nope"}, 404, "model"),
    (OK | {"model": "rgb@000000000000"}, 404, "digest"),
    (OK | {"seeds": ""}, 400, "seeds"),
    (OK | {"seeds": "3-0"}, 400, "seeds"),
    (OK | {"seeds": "one"}, 400, "seeds"),
    (OK | {"seeds": []}, 400, "seeds"),
    (OK | {"seeds": ["1"]}, 400, "seeds"),
    (OK | {"seeds": [True]}, 400, "seeds"),
    (OK | {"seeds": [1.5]}, 400, "seeds"),
    (OK | {"seeds": [None]}, 400, "seeds"),
    (OK | {"seeds": [-1]}, 422, "seeds"),
    (OK | {"seeds": [1 << 63]}, 422, "seeds"),
    (OK | {"seeds": [1 << 70]}, 422, "seeds"),
    (OK | {"seeds": str(1 << 63)}, 422, "seeds"),
    (OK | {"seeds": "0-65536"}, 413, "seeds"),
    (OK | {"seeds": f"0-{(1 << 63) - 1}"}, 413, "seeds"),
    (OK | {"seeds": list(range(65537))}, 413, "seeds"),
    (OK | {"seeds": "1,2,1"}, 422, "seeds"),
    (OK | {"seeds": "1,2,1", "labels": [0, 1, 0]}, 422, "seeds"),
    (OK | {"labels": 3}, 422, "labels"),
    (OK | {"labels": -1}, 422, "labels"),
    (OK | {"labels": 1 << 70}, 422, "labels"),
    (OK | {"labels": [0, 1]}, 422, "labels"),
    (OK | {"labels": []}, 422, "labels"),
    (OK | {"labels": [0, 1, 2, 3]}, 422, "labels"),
    (OK | {"labels": "bee"}, 400, "labels"),
    (OK | {"labels": True}, 400, "labels"),
    (OK | {"labels": 1.0}, 400, "labels"),
    (OK | {"truncation": 0}, 422, "truncation"),
    (OK | {"truncation": 1.5}, 422, "truncation"),
    (OK | {"truncation": "0.5"}, 400, "truncation"),
    (OK | {"truncation": True}, 400, "truncation"),
    (b'{"model": "rgb", "seeds": "1", "truncation": NaN}', 422, "truncation"),
    (b'{"model": "rgb", "seeds": "1", "truncation": 1e999}', 422, "truncation"),
    (OK | {"truncation": 10**400}, 422, "truncation"),
    (OK | {"format": "rar"}, 400, "format"),
    (OK | {"format": None}, 400, "format"),
    (OK | {"colour": "red"}, 400, "colour"),
]


@pytest.mark.parametrize("path", ["/sample", "/v1/sample"])
@pytest.mark.parametrize(("body", "status", "field"), BODIES)
def test_an_invalid_body_names_the_field(server: Server, path: str, body: bytes | dict[str, object], status: int, field: str):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    check(server.client.post(path, content=content, headers=JSON), status, field)


@pytest.mark.parametrize("path", ["/sample", "/v1/sample"])
@pytest.mark.parametrize(
    "media_type",
    ["application/vnd.bentoml+pickle", "multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded"],
)
def test_a_body_that_is_not_json_is_415(server: Server, path: str, media_type: str):
    check(server.client.post(path, content=b"cos\nsystem\n", headers={"Content-Type": media_type}), 415, "Content-Type")


def test_a_large_body_is_413_before_it_is_read(server: Server):
    """A body of 60 MB with Content-Length, and a body of 60 MB in chunks."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000000\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")

    def pieces():
        for _ in range(60):
            yield b" " * 1_000_000

    check(server.client.post("/sample", content=pieces(), headers=JSON), 413, "body", "too_large")


def test_invalid_requests_are_not_logged_as_errors(server: Server):
    check(server.client.post("/sample", json={"model": 5}), 400, "model")
    check(server.client.post("/sample", json={"model": "nope", "seeds": "1"}), 404, "model")
    assert not [line for line in server.log if "Traceback" in line or "ERROR" in line]


def test_the_openapi_document_declares_every_status_so_far(server: Server):
    """The last test of this file, so that it also covers the statuses that the server has sent in the tests above."""
    url, post = f"{server.pinned('rgb')}/1.png", server.client.post
    answers = [
        *(server.client.get(path) for path in (url, url.replace("1.png", "x.png"), "/v1/models/nope", f"{url}?label=3")),
        *(post("/v1/sample", content=body, headers=JSON) for body in (b"{", b'{"model": "rgb", "seeds": "0-65536"}')),
        *(post(path, content=b"x", headers={"Content-Type": "text/plain"}) for path in ("/v1/models", "/v1/sample")),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 404, 422, 400, 413, 405, 415]
    paths = server.client.get("/openapi.json").json()["paths"]
    seen: set[int] = set()
    for family in text_string_to_metric_families(server.client.get("/metrics").text):
        for sample in family.samples:
            if sample.name == "seedmint_http_requests_total" and sample.labels["route"] not in UNDOCUMENTED:
                route, method, status = (sample.labels[name] for name in ("route", "method", "status"))
                if status == "499":  # counted when a client disconnects, as browsers do; never sent
                    continue
                item = paths[url_template(route)]
                if status == "405":
                    assert method.lower() not in item
                    item = {method.lower(): next(iter(item.values()))}  # the other methods of the path declare 405
                assert status in item[method.lower()]["responses"], (route, method, status)
                seen.add(int(status))
    assert seen >= {answer.status_code for answer in answers}

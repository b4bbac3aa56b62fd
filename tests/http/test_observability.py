"""Logs, metrics and headers name the generator, the client and the request."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.test_metrics import samples
from tests.http.test_problems import check
from tests.support import generators
from tests.support.fixtures import fill
from tests.support.servers import Server, serving, wait_until

ORIGIN = "https://lab.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"access_log": True, "log_format": "json", "allowed_origins": ORIGIN, "trusted_proxies": "127.0.0.1"}
    with serving(fill(tmp_path_factory.mktemp("models")), **settings) as running:
        yield running


def line_of(server: Server, request_id: str) -> dict[str, object]:
    return json.loads(server.wait_for_log(f'"{request_id}"'))


@pytest.mark.parametrize(
    ("path", "has_generator"),
    [
        ("{pinned}/images/1.png", True),  # on the fast path
        ("{pinned}/images/1.png?scale=01", True),  # refused by the router
        ("/v1/models/grey/images/1.png", True),
        ("/v1/models/grey", True),
        ("/v1/models/none/images/1.png", False),
        ("/v1/models", False),
    ],
)
def test_the_access_log_names_the_generator_and_the_client(server: Server, path: str, has_generator: bool):
    page = server.client.get("/v1/models/grey").json()
    path = path.format(pinned=page["url"])
    name = f"id-{abs(hash(path))}"
    headers = {"X-Request-Id": name, "X-Forwarded-For": "203.0.113.9"}
    server.client.get(path, headers=headers)
    line = line_of(server, name)
    assert line["client"] == "203.0.113.9"
    assert line["generator"] == (f"grey@{page['digest'][:12]}" if has_generator else None)


def test_a_bulk_request_names_its_generator(server: Server):
    headers = {"X-Request-Id": "bulk", "X-Forwarded-For": "not an address"}
    server.client.post("/v1/sample", json={"model": "rgb", "seeds": "0-3"}, headers=headers)
    line = line_of(server, "bulk")
    assert str(line["generator"]).startswith("rgb@")
    assert line["client"] == "unknown"


def test_metrics_name_only_versions_that_were_served_lately(tmp_path: Path):
    generators.write(tmp_path, "one", 1)
    generators.write(tmp_path, "idle", 2)
    with serving(tmp_path) as server:
        old = server.digest("one")
        server.client.get(f"{server.pinned('one')}/1.png")
        assert {(s.labels["model"], s.labels["digest"]) for s in samples(server) if s.name == "seedmint_images_total"} == {
            ("one", old)
        }
        generators.write(tmp_path, "one", 3)
        wait_until(lambda: server.digest("one") != old)
        server.client.get(f"{server.pinned('one')}/1.png")
        digests = {s.labels["digest"] for s in samples(server) if s.name == "seedmint_generator_requests_total"}
        assert {old, server.digest("one")} <= digests  # the last values of a replaced version can still be scraped
        inference = {s.labels["model"] for s in samples(server) if s.name == "seedmint_inference_duration_seconds_count"}
        assert inference == {"one"}  # an idle generator has no histogram


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v1/models HTTP/1.1\r\nX-Request-Id: mine\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nX-Request-Id: mine\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_answers_of_the_parser_have_a_request_id(server: Server, head: bytes, status: int):
    with server.connect() as connection:
        connection.sendall(head)
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    found = re.search(rb"\r\nx-request-id: (\S+)\r\n", answer)
    assert found is not None
    assert found[1] == b"mine" if b"mine" in head else len(found[1]) == 32


def test_pages_of_other_origins_may_send_trace_headers(server: Server):
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    headers["Access-Control-Request-Headers"] = "traceparent, tracestate"
    assert server.client.options("/v1/models", headers=headers).status_code == 200


def test_the_list_of_generators_has_pages(server: Server):
    names = [model["name"] for model in server.client.get("/v1/models").json()["models"]]
    assert len(names) > 1
    found: list[str] = []
    url = "/v1/models?limit=1"
    while url:
        page = server.client.get(url).json()
        assert len(page["models"]) == 1
        found += [model["name"] for model in page["models"]]
        url = page["next_url"]
    assert found == names
    check(server.client.get("/v1/models?limit=0"), 422, "limit")
    check(server.client.get("/v1/models?limit=1001"), 422, "limit")
    check(server.client.get("/v1/models?limit=x"), 400, "limit")
    check(server.client.get("/v1/models?after=A"), 400, "after")
    check(server.client.get("/v1/models?after="), 400, "after")
    check(server.client.get("/v1/models?page=2"), 400, "page")
    assert httpx.get(f"{server.url}/v1/models?after=zzz").json()["models"] == []

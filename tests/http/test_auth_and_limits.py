"""The doors of real servers: keys, limits, proxies, other origins; and what a request is called, in its answer and the log."""

import json
import re
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bentoml
import httpx
import numpy as np
import pytest

from seedmint.service.server.api_keys import new_key
from tests.http.test_problems import check
from tests.support.fixtures import fill
from tests.support.servers import Server, serving, wait_until

ORIGIN = "https://lab.example"
IMAGES_A_MINUTE = 600
ALWAYS = ("/livez", "/readyz")
LOCKED = ("/", "/metrics", "/schema.json", "/v1/models", "/v1/models/rgb", "/v1/models/rgb/images/1.png", "/nope")


@dataclass
class Locked:
    """A server with keys."""

    server: Server
    keys: dict[str, str]

    def ask(self, path: str, key: str = "alice", method: str = "GET", **headers: str) -> httpx.Response:
        """`a_b` becomes the header a-b."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.client.request(method, path, headers={"X-API-Key": self.keys[key]} | given)

    def pinned(self, name: str) -> str:
        return f"{self.ask(f'/v1/models/{name}').json()['url']}/images"

    def value(self, line: str) -> float:
        """A metric by its whole name and labels."""
        found = re.search(rf"^{re.escape(line)} (\S+)$", self.ask("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    directory = tmp_path_factory.mktemp("locked")
    made = {name: new_key(name) for name in ("alice", "bob", "carol")}
    (directory / "keys.txt").write_text(f"# two of three\n{made['alice'][1]}\n{made['bob'][1]}\n")
    settings = {
        "api_keys": made["carol"][1],
        "api_keys_file": directory / "keys.txt",
        "allowed_origins": f"{ORIGIN}, http://localhost:8080",
        "images_per_minute": IMAGES_A_MINUTE,
        "access_log": "true",
        "log_format": "json",
    }
    with serving(fill(directory), **settings) as server:
        yield Locked(server, {name: key for name, (key, _) in made.items()})


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """No keys; five requests at once and one a second for each address; 127.0.0.1 is a proxy to be believed."""
    settings = {"requests_per_second": 1, "request_burst": 5, "trusted_proxies": "127.0.0.1/32, 10.0.0.0/8", "access_log": True}
    with serving(fill(tmp_path_factory.mktemp("limited")), **settings) as server:
        yield server


@pytest.mark.parametrize("path", LOCKED)
def test_without_a_key_the_doors_are_shut(locked: Locked, path: str):
    client = locked.server.client
    answer = client.get(path)
    check(answer, 401, "Authorization")
    assert answer.headers["www-authenticate"] == 'Bearer realm="seedmint"'
    for headers in ({"X-API-Key": "nonsense"}, {"Authorization": f"Bearer {locked.keys['alice'][:-1]}"}):
        wrong = client.get(path, headers=headers)
        check(wrong, 401, "Authorization")
        assert wrong.headers["www-authenticate"] == 'Bearer realm="seedmint", error="invalid_token"'
        assert "nonsense" not in wrong.text
    assert client.post("/v1/sample", json={"model": "rgb", "seeds": "1"}).status_code == 401


def test_probes_are_always_open(locked: Locked):
    assert {locked.server.client.get(path).status_code for path in ALWAYS} == {200}


@pytest.mark.parametrize("name", ["alice", "bob", "carol"])
def test_each_key_opens_them_in_either_header(locked: Locked, name: str):
    key = locked.keys[name]
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer {key}"}):
        assert locked.server.client.get("/v1/models", headers=headers).status_code == 200


def test_bentomls_client_takes_a_key(locked: Locked):
    with bentoml.SyncHTTPClient(locked.server.url, token=locked.keys["bob"]) as client:
        path = client.sample(model="rgb", seeds="0-7", format="npz")
    with np.load(path) as arrays:
        assert arrays["images"].shape == (8, 16, 12, 3)


def test_images_behind_keys_are_for_private_caches_alone(locked: Locked, server: Server):
    address = f"{locked.pinned('rgb')}/5.png"
    image = locked.ask(address)
    again = locked.ask(address, If_None_Match=image.headers["etag"])
    assert (image.status_code, again.status_code) == (200, 304)
    assert {a.headers["cache-control"] for a in (image, again)} == {"private, max-age=31536000, immutable"}
    assert locked.server.client.get(address, headers={"If-None-Match": image.headers["etag"]}).status_code == 401
    assert server.client.get(address).headers["cache-control"] == "public, max-age=31536000, immutable"
    base = address.rpartition("/images")[0]
    for other, status in (
        (f"{address}?scale=1", 308),
        (f"{base}/grid.png?seeds=0-3", 200),
        (f"{base}/walk.png?from=0&to=3", 200),
    ):
        answer = locked.ask(other)
        assert (answer.status_code, answer.headers["cache-control"]) == (status, "private, max-age=31536000, immutable")
        assert locked.server.client.get(other).status_code == 401


def test_images_a_minute_are_limited_for_each_key(locked: Locked):
    def bulk(seeds: str) -> httpx.Response:
        body = {"model": "grey", "seeds": seeds, "format": "npy"}
        return locked.server.client.post("/v1/sample", json=body, headers={"X-API-Key": locked.keys["carol"]})

    check(bulk(f"0-{IMAGES_A_MINUTE}"), 413, "seeds")
    sheet = f"{locked.pinned('grey').removesuffix('/images')}/grid.png?seeds=0-{IMAGES_A_MINUTE}"
    check(locked.ask(sheet, "carol"), 413, "seeds")
    started = time.monotonic()
    assert bulk(f"0-{IMAGES_A_MINUTE - 1}").status_code == 200
    address = f"{locked.pinned('grey')}/5.png"
    tag = locked.ask(address, "bob").headers["etag"]
    assert locked.ask(address, "carol", "HEAD").status_code == 200  # no image is made for these
    assert locked.ask(address, "carol", If_None_Match=tag).status_code == 304
    assert locked.ask(sheet, "carol", "HEAD").status_code == 200
    assert locked.ask(sheet.replace(f"-{IMAGES_A_MINUTE}", "-99"), "carol").status_code == 429
    refused = bulk("0-19")
    check(refused, 429)
    told = int(refused.headers["retry-after"])
    assert told == 2  # twenty at ten a second, less what has come since
    assert time.monotonic() - started < 1
    assert locked.ask(address, "bob").status_code == 200
    time.sleep(told)
    assert bulk("0-19").status_code == 200
    assert locked.value('seedmint_http_requests_rejected_total{reason="image_limit"}') == 4


def test_refusals_at_the_door_are_counted_as_such(locked: Locked):
    before = locked.value('seedmint_http_requests_rejected_total{reason="no_key"}')
    for path in ("/v1/models", "/a", "/b"):
        locked.server.client.get(path)
    assert locked.value('seedmint_http_requests_rejected_total{reason="no_key"}') == before + 3
    assert locked.value('seedmint_http_requests_total{method="GET",route="refused",status="401"}') >= 3


def test_other_origins_may_read_if_they_are_allowed(locked: Locked):
    """As a browser asks: a preflight without key, then the request with it."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
    preflight = locked.server.client.options("/v1/models", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "X-API-Key" in preflight.headers["access-control-allow-headers"]
    assert "POST" in preflight.headers["access-control-allow-methods"]
    refused = locked.server.client.options("/v1/models", headers=asked | {"Origin": "https://evil.example"})
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (400, False)

    address = f"{locked.pinned('rgb')}/1.png"
    tag = locked.ask(address).headers["etag"]
    answers = {
        200: locked.ask(address, Origin=ORIGIN),
        304: locked.ask(address, Origin=ORIGIN, If_None_Match=tag),
        404: locked.ask("/nope", Origin=ORIGIN),
        405: locked.ask("/v1/sample", Origin=ORIGIN),
        401: locked.server.client.get(address, headers={"Origin": ORIGIN}),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert {"ETag", "Retry-After", "X-Request-Id"} <= exposed


def test_other_origins_may_read_that_a_head_is_too_large(locked: Locked):
    """Answered before there is a request; its origin is known only if it stood before what was too much."""
    host, port = locked.server.url.removeprefix("http://").split(":")
    for origin, shown in ((ORIGIN, True), ("https://evil.example", False)):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nA: {'a' * 70_000}\r\n\r\n".encode())
            answer = connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b"\r\nvary: Origin\r\n" in answer
        assert (f"\r\naccess-control-allow-origin: {ORIGIN}\r\n".encode() in answer) == shown
        assert origin.encode() in answer or not shown


@pytest.mark.parametrize("origin", [ORIGIN, "https://evil.example", None])
def test_a_shared_cache_learns_that_the_origin_matters(locked: Locked, origin: str | None):
    """Else it would keep the image without the header that the next origin needs."""
    answer = locked.ask("/v1/models", **({"Origin": origin} if origin else {}))
    assert answer.headers["vary"] == "Origin"
    assert answer.headers.get("access-control-allow-origin") == (ORIGIN if origin == ORIGIN else None)


def test_without_the_setting_no_origin_is_named(server: Server):
    answer = server.client.get("/v1/models", headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control") or name == "vary"]


def test_every_answer_has_a_request_id(locked: Locked):
    address = f"{locked.pinned('rgb')}/1.png"
    tag = locked.ask(address).headers["etag"]
    ask, client = locked.ask, locked.server.client
    for send in (
        lambda h: ask(address, **h),
        lambda h: ask(address, If_None_Match=tag, **h),
        lambda h: ask("/v1/models/rgb/images/1.png", **h),
        lambda h: ask("/nope", **h),
        lambda h: ask("/v1/sample", **h),
        lambda h: client.get("/v1/models", headers={k.replace("_", "-"): v for k, v in h.items()}),
        lambda h: client.get("/livez", headers={k.replace("_", "-"): v for k, v in h.items()}),
    ):
        for given in ("a", "7f3c/Job=2:x+y~z@h_1.-", "x" * 128):
            assert send({"X_Request_Id": given}).headers.get_list("x-request-id") == [given]
        made = set()
        for odd in ("", "x" * 129, "a b", "a,b", 'a"b', "a\tb", "<script>"):
            (own,) = send({"X_Request_Id": odd}).headers.get_list("x-request-id")
            assert uuid.UUID(own).version == 4
            made.add(own)
        assert len(made) == 7


def test_the_log_is_json_and_tells_what_was_asked_but_no_key(locked: Locked):
    address = locked.pinned("rgb")
    locked.ask(f"{address}/77001.png?label=1", X_Request_Id="log-1")
    client = locked.server.client
    body = {"model": "grey", "seeds": "0-9", "format": "npz"}
    client.post("/v1/sample", json=body, headers={"X-API-Key": locked.keys["bob"], "X-Request-Id": "log-2"})
    client.get(f"/secret-{'a' * 20}", headers={"Authorization": "Bearer sm_wrong", "X-Request-Id": "log-3"})
    lines = {}

    def all_there() -> bool:
        lines.update({one.get("request_id"): one for one in map(json.loads, locked.server.log)})
        return {"log-1", "log-2", "log-3"} <= set(lines)

    wait_until(all_there)
    expected = {
        "log-1": ("GET", "/v1/models/{name}@{digest}/images/{file}", 200, 1, "alice"),
        "log-2": ("POST", "/v1/sample", 200, 10, "bob"),
        "log-3": ("GET", "refused", 401, 0, None),
    }
    for request_id, said in expected.items():
        line = lines[request_id]
        assert tuple(line[name] for name in ("method", "route", "status", "images", "key")) == said
        assert 0 < line["seconds"] < 30
        assert line["level"] == "info"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    started, *rest = locked.server.log
    assert json.loads(started)["message"].startswith(f"Seedmint on {locked.server.url} (generators of ")
    for word in (*locked.keys.values(), "sm_wrong", "secret-", "77001", "Traceback", str(locked.server.models)):
        assert word not in "".join(rest), word


def as_client(server: Server, address: str, path: str = "/v1/models", via: str = "127.0.0.1") -> httpx.Response:
    """A request that comes through a proxy on loopback."""
    transport = httpx.HTTPTransport(local_address=via)
    with httpx.Client(base_url=server.url, transport=transport) as client:
        return client.get(path, headers={"X-Forwarded-For": address})


def test_requests_are_limited_for_each_client_of_a_trusted_proxy(limited: Server):
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "198.51.100.9, 10.1.1.1"):  # the last came through two
        answers = [as_client(limited, address) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        check(answers[-1], 429)
        assert answers[-1].headers["retry-after"] == "1"
    assert as_client(limited, "2001:db8::ffff").status_code == 429  # the same client's other address
    assert as_client(limited, "198.51.100.9").status_code == 429
    assert {as_client(limited, "192.0.2.1", path).status_code for path in ALWAYS} == {200}
    time.sleep(1)
    assert as_client(limited, "192.0.2.1").status_code == 200


def test_nobody_else_is_believed(limited: Server):
    """From an address that is no trusted proxy, what it claims of others changes nothing."""
    answers = [as_client(limited, f"203.0.113.{i}", via="127.0.0.2") for i in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]


def test_text_lines_of_requests(limited: Server):
    as_client(limited, "192.0.2.200", "/v1/models/grey/images/8.png")
    line = limited.wait_for_log("GET /v1/models/{name}/images/{file} 307")
    assert re.search(r" \d\.\d{6} s, images 0, key -, id [0-9a-f]{32}\n$", line)


def test_a_body_larger_than_the_setting_is_413(models: Path):
    with serving(models, max_body_bytes=100) as server:
        body = {"model": "grey", "seeds": "0-3"}
        assert server.client.post("/v1/sample", json=body).status_code == 200
        check(server.client.post("/v1/sample", json=body | {"seeds": "0-3," + "4," * 60 + "5"}), 413, "body")
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            head = b"POST /sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head + b"65\r\n" + b" " * 101 + b"\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 413 ")

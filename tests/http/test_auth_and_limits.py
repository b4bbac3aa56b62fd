"""API keys, rate limits, trusted proxies, CORS and request ids, tested on real servers."""

import itertools
import json
import re
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
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
IMAGES_PER_MINUTE = 600
PROBES = ("/livez", "/readyz")
PROTECTED = (
    "/openapi.json",
    "/metrics",
    "/schema.json",
    "/v1/models",
    "/v1/models/rgb",
    "/v1/models/rgb/images/1.png",
    "/nope",
)


@dataclass
class Protected:
    """A server that requires API keys.

    Attributes:
        server: The server.
        keys: API keys by name.
    """

    server: Server
    keys: dict[str, str]

    def send(self, path: str, key: str = "alice", method: str = "GET", **headers: str) -> httpx.Response:
        """Send a request with an API key. The argument `a_b` becomes the header `a-b`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.client.request(method, path, headers={"X-API-Key": self.keys[key]} | more)

    def pinned(self, name: str) -> str:
        return f"{self.send(f'/v1/models/{name}').json()['url']}/images"

    def value(self, line: str) -> float:
        """Return the value of a metric by its name and labels as in the text format."""
        found = re.search(rf"^{re.escape(line)} (\S+)$", self.send("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Protected]:
    directory = tmp_path_factory.mktemp("protected")
    keys = {name: new_key(name) for name in ("alice", "bob", "carol")}
    (directory / "keys.txt").write_text(f"# two of three\n{keys['alice'][1]}\n{keys['bob'][1]}\n")
    settings = {
        "api_keys": keys["carol"][1],
        "api_keys_file": directory / "keys.txt",
        "allowed_origins": f"{ORIGIN}, http://localhost:8080",
        "images_per_minute": IMAGES_PER_MINUTE,
        "access_log": "true",
        "log_format": "json",
    }
    with serving(fill(directory), **settings) as server:
        yield Protected(server, {name: key for name, (key, _) in keys.items()})


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without keys: five requests at once and one per second for each address. 127.0.0.1 is a trusted proxy."""
    settings = {"requests_per_second": 1, "request_burst": 5, "trusted_proxies": "127.0.0.1/32, 10.0.0.0/8", "access_log": True}
    with serving(fill(tmp_path_factory.mktemp("limited")), **settings) as server:
        yield server


@pytest.mark.parametrize("path", PROTECTED)
def test_a_request_without_a_valid_key_is_401(protected: Protected, path: str):
    client = protected.server.client
    answer = client.get(path)
    check(answer, 401, "Authorization")
    assert answer.headers["www-authenticate"] == 'Bearer realm="seedmint"'
    for headers in ({"X-API-Key": "nonsense"}, {"Authorization": f"Bearer {protected.keys['alice'][:-1]}"}):
        wrong = client.get(path, headers=headers)
        check(wrong, 401, "Authorization")
        assert wrong.headers["www-authenticate"] == 'Bearer realm="seedmint", error="invalid_token"'
        assert "nonsense" not in wrong.text
    assert client.post("/v1/sample", json={"model": "rgb", "seeds": "1"}).status_code == 401


def test_probes_need_no_key(protected: Protected):
    assert {protected.server.client.get(path).status_code for path in PROBES} == {200}


@pytest.mark.parametrize("name", ["alice", "bob", "carol"])
def test_each_key_is_accepted_in_both_headers(protected: Protected, name: str):
    key = protected.keys[name]
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer {key}"}):
        assert protected.server.client.get("/v1/models", headers=headers).status_code == 200


def test_the_client_of_bentoml_sends_a_key(protected: Protected):
    with bentoml.SyncHTTPClient(protected.server.url, token=protected.keys["bob"]) as client:
        path = client.sample(model="rgb", seeds="0-7", format="npz")
    with np.load(path) as arrays:
        assert arrays["images"].shape == (8, 16, 12, 3)


def test_images_of_a_server_with_keys_have_private_caching(protected: Protected, server: Server):
    address = f"{protected.pinned('rgb')}/5.png"
    image = protected.send(address)
    again = protected.send(address, If_None_Match=image.headers["etag"])
    assert (image.status_code, again.status_code) == (200, 304)
    assert {a.headers["cache-control"] for a in (image, again)} == {"private, max-age=31536000, immutable"}
    assert protected.server.client.get(address, headers={"If-None-Match": image.headers["etag"]}).status_code == 401
    assert server.client.get(address).headers["cache-control"] == "public, max-age=31536000, immutable"
    base = address.rpartition("/images")[0]
    for other, status in (
        (f"{address}?scale=1", 308),
        (f"{base}/grid.png?seeds=0-3", 200),
        (f"{base}/walk.png?from=0&to=3", 200),
    ):
        answer = protected.send(other)
        assert (answer.status_code, answer.headers["cache-control"]) == (status, "private, max-age=31536000, immutable")
        assert protected.server.client.get(other).status_code == 401


def test_images_per_minute_are_limited_for_each_key(protected: Protected):
    def bulk(seeds: str) -> httpx.Response:
        body = {"model": "grey", "seeds": seeds, "format": "npy"}
        return protected.server.client.post("/v1/sample", json=body, headers={"X-API-Key": protected.keys["carol"]})

    check(bulk(f"0-{IMAGES_PER_MINUTE}"), 413, "seeds")
    sheet = f"{protected.pinned('grey').removesuffix('/images')}/grid.png?seeds=0-{IMAGES_PER_MINUTE}"
    check(protected.send(sheet, "carol"), 413, "seeds")
    address = f"{protected.pinned('grey')}/5.png"
    tag = protected.send(address, "bob").headers["etag"]
    started = time.monotonic()
    assert bulk(f"0-{IMAGES_PER_MINUTE - 1}").status_code == 200
    rejected = bulk("0-499")  # 500 images become available in 50 seconds
    check(rejected, 429)
    assert max(1.0, 50 - (time.monotonic() - started)) <= int(rejected.headers["retry-after"]) <= 50
    assert protected.send(sheet.replace(f"-{IMAGES_PER_MINUTE}", "-399"), "carol").status_code == 429
    assert protected.send(address, "carol", "HEAD").status_code == 200  # generates no image
    assert protected.send(address, "carol", If_None_Match=tag).status_code == 304
    assert protected.send(sheet, "carol", "HEAD").status_code == 200
    assert protected.send(address, "bob").status_code == 200
    assert protected.value('seedmint_http_requests_rejected_total{reason="image_limit"}') == 4
    wait_until(lambda: bulk("0-9").status_code == 200)  # some images are available again


def test_rejected_requests_without_a_key_are_counted(protected: Protected):
    before = protected.value('seedmint_http_requests_rejected_total{reason="no_key"}')
    for path in ("/v1/models", "/a", "/b"):
        protected.server.client.get(path)
    assert protected.value('seedmint_http_requests_rejected_total{reason="no_key"}') == before + 3
    assert protected.value('seedmint_http_requests_total{method="GET",route="refused",status="401"}') >= 3


def test_pages_of_allowed_origins_may_read_responses(protected: Protected):
    """A browser sends a preflight request without a key, then the request with the key."""
    preflight_headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-api-key",
    }
    preflight = protected.server.client.options("/v1/models", headers=preflight_headers)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "X-API-Key" in preflight.headers["access-control-allow-headers"]
    assert "POST" in preflight.headers["access-control-allow-methods"]
    rejected = protected.server.client.options("/v1/models", headers=preflight_headers | {"Origin": "https://evil.example"})
    assert (rejected.status_code, "access-control-allow-origin" in rejected.headers) == (400, False)

    address = f"{protected.pinned('rgb')}/1.png"
    tag = protected.send(address).headers["etag"]
    answers = {
        200: protected.send(address, Origin=ORIGIN),
        304: protected.send(address, Origin=ORIGIN, If_None_Match=tag),
        404: protected.send("/nope", Origin=ORIGIN),
        405: protected.send("/v1/sample", Origin=ORIGIN),
        401: protected.server.client.get(address, headers={"Origin": ORIGIN}),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert {"ETag", "Retry-After", "X-Request-Id"} <= exposed


def test_pages_of_allowed_origins_may_read_the_rejection_of_a_large_head(protected: Protected):
    """The HTTP parser rejects the head. It knows the origin only if that header is before the excess bytes."""
    host, port = protected.server.url.removeprefix("http://").split(":")
    for origin, is_allowed in ((ORIGIN, True), ("https://evil.example", False)):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nA: {'a' * 70_000}\r\n\r\n".encode())
            answer = connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b"\r\nvary: Origin\r\n" in answer
        assert (f"\r\naccess-control-allow-origin: {ORIGIN}\r\n".encode() in answer) == is_allowed


@pytest.mark.parametrize("origin", [ORIGIN, "https://evil.example", None])
def test_responses_vary_by_origin(protected: Protected, origin: str | None):
    """Without `Vary: Origin`, a shared cache would return a response without the CORS header to another origin."""
    answer = protected.send("/v1/models", **({"Origin": origin} if origin else {}))
    assert answer.headers["vary"] == "Origin"
    assert answer.headers.get("access-control-allow-origin") == (ORIGIN if origin == ORIGIN else None)


def test_no_cors_headers_without_allowed_origins(server: Server):
    answer = server.client.get("/v1/models", headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control") or name == "vary"]


def test_every_response_has_a_request_id(protected: Protected):
    address = f"{protected.pinned('rgb')}/1.png"
    tag = protected.send(address).headers["etag"]
    send_with_key, client = protected.send, protected.server.client
    for send in (
        lambda h: send_with_key(address, **h),
        lambda h: send_with_key(address, If_None_Match=tag, **h),
        lambda h: send_with_key("/v1/models/rgb/images/1.png", **h),
        lambda h: send_with_key("/nope", **h),
        lambda h: send_with_key("/v1/sample", **h),
        lambda h: client.get("/v1/models", headers={k.replace("_", "-"): v for k, v in h.items()}),
        lambda h: client.get("/livez", headers={k.replace("_", "-"): v for k, v in h.items()}),
    ):
        for valid in ("a", "7f3c/Job=2:x+y~z@h_1.-", "x" * 128):
            assert send({"X_Request_Id": valid}).headers.get_list("x-request-id") == [valid]
        generated = set()
        for invalid in ("", "x" * 129, "a b", "a,b", 'a"b', "a\tb", "<script>"):
            (own,) = send({"X_Request_Id": invalid}).headers.get_list("x-request-id")
            assert uuid.UUID(own).version == 4
            generated.add(own)
        assert len(generated) == 7


def test_the_json_log_describes_requests_without_secrets(protected: Protected):
    address = protected.pinned("rgb")
    protected.send(f"{address}/77001.png?label=1", X_Request_Id="log-1")
    client = protected.server.client
    body = {"model": "grey", "seeds": "0-9", "format": "npz"}
    client.post("/v1/sample", json=body, headers={"X-API-Key": protected.keys["bob"], "X-Request-Id": "log-2"})
    client.get(f"/secret-{'a' * 20}", headers={"Authorization": "Bearer sm_wrong", "X-Request-Id": "log-3"})
    lines = {}

    def are_logged() -> bool:
        lines.update({line.get("request_id"): line for line in map(json.loads, protected.server.log)})
        return {"log-1", "log-2", "log-3"} <= set(lines)

    wait_until(are_logged)
    expected = {
        "log-1": ("GET", "/v1/models/{name}@{digest}/images/{file}", 200, 1, "alice"),
        "log-2": ("POST", "/v1/sample", 200, 10, "bob"),
        "log-3": ("GET", "refused", 401, 0, None),
    }
    for request_id, fields in expected.items():
        line = lines[request_id]
        assert tuple(line[name] for name in ("method", "route", "status", "images", "key")) == fields
        assert 0 < line["seconds"] < 30
        assert line["level"] == "info"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    started, *rest = protected.server.log
    assert protected.server.url in json.loads(started)["message"]
    for word in (*protected.keys.values(), "sm_wrong", "secret-", "77001", "Traceback", str(protected.server.models)):
        assert word not in "".join(rest), word


def as_client(server: Server, address: str, path: str = "/v1/models", via: str = "127.0.0.1") -> httpx.Response:
    """Send a request through a proxy on the loopback interface.

    Args:
        server: The server.
        address: The `X-Forwarded-For` header.
        path: The path.
        via: The address of the proxy.
    """
    transport = httpx.HTTPTransport(local_address=via, verify=False)
    with httpx.Client(base_url=server.url, transport=transport) as client:
        return client.get(path, headers={"X-Forwarded-For": address})


def until_limited(server: Server, addresses: Iterable[str], via: str = "127.0.0.1") -> httpx.Response:
    """Send requests with these `X-Forwarded-For` headers until one is rejected, and return its response.

    All addresses share one limit: five requests at once, and one more for each second that the requests take.
    """
    started = time.monotonic()
    for count, address in enumerate(addresses):
        answer = as_client(server, address, via=via)
        if answer.status_code != 200:
            assert 5 <= count <= 5 + (time.monotonic() - started)
            return answer
    raise AssertionError("no request was rejected")


@pytest.mark.parametrize(
    "addresses",
    [
        ("192.0.2.1",),
        ("192.0.2.2",),
        ("2001:db8::1", "2001:db8::ffff"),  # of one client
        ("198.51.100.9, 10.1.1.1", "198.51.100.9"),  # through two proxies and through one
    ],
)
def test_requests_are_limited_for_each_client_of_a_trusted_proxy(limited: Server, addresses: tuple[str, ...]):
    answer = until_limited(limited, itertools.cycle(addresses))
    check(answer, 429)
    assert answer.headers["retry-after"] == "1"
    assert {as_client(limited, addresses[0], path).status_code for path in PROBES} == {200}
    time.sleep(1)
    assert as_client(limited, addresses[0]).status_code == 200


def test_the_forwarded_address_of_an_untrusted_proxy_is_ignored(limited: Server):
    addresses = (f"203.0.113.{i}" for i in itertools.count())
    assert until_limited(limited, addresses, via="127.0.0.2").status_code == 429


def test_the_text_log_has_a_line_for_each_request(limited: Server):
    as_client(limited, "192.0.2.200", "/v1/models/grey/images/8.png")
    line = limited.wait_for_log("GET /v1/models/{name}/images/{file} 307")
    assert re.search(
        r" \d\.\d{6} s, images 0, generator grey@[0-9a-f]{12}, client 192\.0\.2\.200, key -, id [0-9a-f]{32}\n$", line
    )


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

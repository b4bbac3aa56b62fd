"""Debian's nginx and Varnish in front of the server: path prefixes, caches that sort queries, idle connections, HTTP/1.0."""

import http.client
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from seedmint.client import Client
from tests.support import generators
from tests.support.servers import Server, free_port, serving, wait_until

pytestmark = pytest.mark.slow

_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream seedmint {{ server {upstream}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    {locations}
  }}
}}
"""
_KEEP_ALIVE = 'proxy_http_version 1.1; proxy_set_header Connection "";'
_STRIPPED = f"location /gan/ {{ {_KEEP_ALIVE} proxy_set_header X-Forwarded-Prefix /gan; proxy_pass http://seedmint/; }}"
_VARNISH = """
vcl 4.1;
import std;
backend default {{ .host = "127.0.0.1"; .port = "{upstream}"; }}
sub vcl_recv {{ set req.url = std.querysort(req.url); }}
sub vcl_deliver {{ set resp.http.X-Hits = obj.hits; }}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("nginx", "varnishd"):
        if shutil.which(program, path="/usr/sbin:/usr/bin") is None:
            pytest.skip(f"{program} is not installed: apt-get install nginx varnish")
    directory = tmp_path_factory.mktemp("models")
    generators.write(directory, "grey", 1)
    return directory


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[Server]:
    """A server that trusts proxies of this machine."""
    with serving(folder, trusted_proxies="127.0.0.1") as found:
        yield found


@pytest.fixture(scope="module")
def prefixed(folder: Path) -> Iterator[Server]:
    """A server below a path prefix that trusts no proxy of this machine."""
    with serving(folder, root_path="/art/gan", trusted_proxies="10.0.0.0/8") as found:
        yield found


@contextmanager
def running(*command: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def nginx(upstream: str, locations: str) -> Iterator[str]:
    """Run nginx in front of a server, and yield its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        config = Path(folder) / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream, locations=locations))
        with running("/usr/sbin/nginx", "-p", folder, "-c", str(config)):
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}"


@contextmanager
def varnish(upstream: int) -> Iterator[str]:
    """Run Varnish, which sorts the query of each request, in front of a server, and yield its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        config = Path(folder) / "default.vcl"
        config.write_text(_VARNISH.format(upstream=upstream))
        with running("/usr/sbin/varnishd", "-F", "-a", f"127.0.0.1:{port}", "-f", str(config), "-n", f"{folder}/varnish"):
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}"


def wait_for_port(port: int) -> None:
    def is_open() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_until(is_open, 20)


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


QUERIES = [
    "images/1.png?truncation=0.5&scale=2",
    "images/1.jpg?scale=2&quality=50&truncation=0.5",
    "grid.png?seeds=0-9,20&columns=3&scale=2",
    "walk.gif?from=1&to=2&frames=4&loop=2&duration=90",
]


def test_a_cache_that_sorts_queries_gets_images_and_no_loops(plain: Server):
    with varnish(port_of(plain)) as url, httpx.Client(base_url=url, follow_redirects=True, max_redirects=3) as client:
        for path in QUERIES:
            first = client.get(f"/v1/models/grey/{path}")
            assert first.status_code == 200, path
            again = client.get(f"/v1/models/grey@{plain.digest('grey')[:12]}/{path}")
            assert (again.status_code, again.content) == (200, first.content), path
            third = client.get(again.url)
            assert int(third.headers["x-hits"]) > 0, path
            direct = plain.client.get(f"/v1/models/grey/{path}", follow_redirects=True)
            assert (direct.content, direct.headers["etag"]) == (first.content, first.headers["etag"]), path


def check_prefix(url: str, prefix: str) -> None:
    """Check redirects, the URLs in documents, and the client of a server below a path prefix."""
    with httpx.Client(base_url=url) as client:
        redirect = client.get("/v1/models/grey/images/1.png?scale=2")
        assert redirect.headers["location"].startswith(f"{prefix}/v1/models/grey@")
        image = client.get(httpx.URL(url).join(redirect.headers["location"]))
        assert (image.status_code, image.headers["content-type"]) == (200, "image/png")
        (model,) = client.get("/v1/models").json()["models"]
        urls = [value for key, value in model.items() if key.endswith("url")]
        assert len(urls) >= 6
        assert all(value.startswith(f"{prefix}/v1/") for value in urls)
        assert client.get("/openapi.json").json()["servers"] == [{"url": prefix}]
        page = client.get("/")
        assert page.status_code == 200
        for asset in ("static/main.js", "docs", "openapi.json"):  # the page has relative links
            assert client.get(asset).status_code == 200
    with Client(url) as python:
        assert python.images("grey", "0-3").shape == (4, 8, 8, 1)
        assert python.image_url("grey", 3).startswith(f"{url}/v1/models/grey@")


def test_a_prefix_that_the_proxy_removes_and_names(plain: Server):
    with nginx(f"127.0.0.1:{port_of(plain)}", _STRIPPED) as url:
        check_prefix(f"{url}/gan", "/gan")


@pytest.mark.parametrize("target", ["http://seedmint/", "http://seedmint"])
def test_a_prefix_of_the_settings(prefixed: Server, target: str):
    """The proxy removes the prefix, or passes the whole path."""
    locations = f"location /art/gan/ {{ {_KEEP_ALIVE} proxy_pass {target}; }}"
    with nginx(f"127.0.0.1:{port_of(prefixed)}", locations) as url:
        check_prefix(f"{url}/art/gan", "/art/gan")


def test_the_prefix_of_an_untrusted_client_is_ignored(prefixed: Server):
    answer = prefixed.client.get("/v1/models/grey/images/1.png", headers={"X-Forwarded-Prefix": "/evil"})
    assert answer.headers["location"].startswith("/art/gan/v1/models/")


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", "https://evil.example", "/a/../b?x=1"])
def test_an_invalid_prefix_of_a_proxy_is_ignored(plain: Server, prefix: str):
    answer = plain.client.get("/v1/models/grey/images/1.png", headers={"X-Forwarded-Prefix": prefix})
    assert answer.headers["location"].startswith("/v1/models/")


def test_a_proxy_loses_no_request_on_idle_connections(plain: Server):
    """Connections of the proxy that were idle longer than 5 seconds are still open, so that no POST gets 502."""
    locations = f"location / {{ {_KEEP_ALIVE} proxy_pass http://seedmint; }}"
    with nginx(f"127.0.0.1:{port_of(plain)}", locations) as url, httpx.Client(base_url=url, timeout=30) as client:
        body = {"model": "grey", "seeds": "0-3", "format": "npy"}
        statuses = []
        for pause in (0, 4.9, 5.0, 5.1, 6.0):
            time.sleep(pause)
            statuses.append(client.post("/v1/sample", json=body).status_code)
        assert statuses == [200] * 5
        assert plain.client.get("/v1/models").status_code == 200


def test_a_proxy_that_speaks_http_1_0_gets_whole_answers(plain: Server):
    body = {"model": "grey", "seeds": "0-999", "format": "zip"}
    expected = plain.client.post("/v1/sample", json=body).content
    locations = "location / { proxy_http_version 1.0; proxy_pass http://seedmint; }"
    with nginx(f"127.0.0.1:{port_of(plain)}", locations) as url:
        answer = httpx.post(f"{url}/v1/sample", json=body, timeout=60)
        assert (answer.status_code, answer.content) == (200, expected)


def test_an_http_1_0_client_gets_no_chunks(plain: Server):
    body = b'{"model": "grey", "seeds": "0-299", "format": "npz"}'
    head = b"POST /v1/sample HTTP/1.0\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with plain.connect() as client:
        client.sendall(head + body)
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert np.load(io.BytesIO(content))["images"].shape == (300, 8, 8, 1)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def test_nginx_reaches_the_server_over_a_unix_socket(folder: Path, tmp_path: Path):
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        path = Path(place) / "seedmint.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))  # left by a killed server
        with on_socket(folder, path) as log:
            location = (
                f"location /gan/ {{ {_KEEP_ALIVE} proxy_set_header X-Forwarded-Prefix /gan; proxy_pass http://seedmint/; }}"
            )
            with nginx(f"unix:{path}", location) as url:
                check_prefix(f"{url}/gan", "/gan")
            second = subprocess.run(serve(folder, path), capture_output=True, text=True, timeout=60)
            assert second.returncode == 1
            assert "--unix-socket" in second.stderr
        assert any(str(path) in line for line in log)
        assert not path.exists()


def serve(models: Path, path: Path) -> list[str]:
    options = ["--models", str(models), "--unix-socket", str(path), "--trusted-proxies", "127.0.0.1"]
    return [sys.executable, "-m", "seedmint", "serve", *options]


@contextmanager
def on_socket(models: Path, path: Path) -> Iterator[list[str]]:
    """Run a server on a Unix socket, wait until it is ready, and yield its output."""
    process = subprocess.Popen(serve(models, path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log: list[str] = []
    assert process.stdout is not None
    threading.Thread(target=log.extend, args=(process.stdout,), daemon=True).start()

    def is_ready() -> bool:
        connection = UnixConnection(path)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    try:
        wait_until(is_ready, 60)
        yield log
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()

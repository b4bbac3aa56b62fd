"""The HTTP server of the page: only for the user of this machine, without a login."""

import json
import re
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from seedmint.training.runs.errors import TrainingError
from seedmint.training.watch.page import live_page
from seedmint.training.watch.run_view import RunView

_STATIC = Path(__file__).parent / "static"
_FILES = {
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/watch.css": ("watch.css", "text/css; charset=utf-8"),
    "/watch.js": ("watch.js", "text/javascript; charset=utf-8"),
    "/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
    "/uplot.js": ("uplot.js", "text/javascript; charset=utf-8"),
    "/uplot.css": ("uplot.css", "text/css; charset=utf-8"),
}
_POLICY = "default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self'; style-src 'self'"
_RUN = re.compile(r"/runs/([0-9]{1,4})")
_PREVIEW = re.compile(r"/runs/([0-9]{1,4})/previews/([^/]+)")
# A page of another site could otherwise reach the server through a name that resolves to this machine (DNS rebinding).
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def watch_server(runs: list[RunView], host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that listens. Call `serve_forever` to answer requests.

    Args:
        runs: The runs on the page.
        host: Address to listen on.
        port: Port; 0 for a free one.

    Raises:
        UserError: The address is not available.
    """
    try:
        server = ThreadingHTTPServer((host, port), partial(_Handler, runs, host in _LOCAL_NAMES))
    except OSError as error:
        message = f"cannot listen on {host} port {port}: {error.strerror}; choose another port"
        raise TrainingError(message, field="port", reason="unavailable") from None
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds

    def __init__(self, runs: list[RunView], is_local: bool, *args: object) -> None:
        self._runs = runs
        self._is_local = is_local
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if self._is_local and host not in _LOCAL_NAMES:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, b"the server answers only requests for localhost\n", "text/plain")
        elif url.path == "/":
            self._send(HTTPStatus.OK, live_page().encode(), "text/html; charset=utf-8")
        elif url.path in _FILES:
            name, media_type = _FILES[url.path]
            self._send(HTTPStatus.OK, (_STATIC / name).read_bytes(), media_type)
        elif url.path == "/runs":
            self._send_json({"runs": [run.description for run in self._runs]})
        elif (found := _RUN.fullmatch(url.path)) and (run := self._run(found[1])):
            new = run.entries_after(*(_number(url.query, name) for name in ("file", "offset")))
            self._send_json(asdict(new) | {"previews": run.previews(), "seconds_since_update": run.seconds_since_update()})
        elif (found := _PREVIEW.fullmatch(url.path)) and (run := self._run(found[1])) and (png := run.preview(found[2])):
            self._send(HTTPStatus.OK, png, "image/png")
        else:
            self._send(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the page asks every two seconds."""

    def _run(self, number: str) -> RunView | None:
        return self._runs[int(number)] if int(number) < len(self._runs) else None

    def _send_json(self, document: object) -> None:
        self._send(HTTPStatus.OK, json.dumps(document).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)


def _number(query: str, name: str) -> int:
    """Return a number of the query string; 0 if it is missing or no number."""
    text = parse_qs(query).get(name, ["0"])[0]
    return int(text) if re.fullmatch("[0-9]{1,19}", text) else 0

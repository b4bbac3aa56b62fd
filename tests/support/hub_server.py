"""A stand-in for the HTTP API of the Hugging Face Hub, for reading: one model repository with files of a dictionary."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REPOSITORY = "user/generators"
_COMMIT = "0123456789" * 4


class Hub:
    """The state of the server.

    Attributes:
        files: Path in the repository -> content. Tests may change it.
        requests: Number of requests by kind: "info", "tree" and "resolve" (downloads).
        url: The endpoint.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: Counter[str] = Counter()
        self.url = ""


@contextmanager
def hub() -> Iterator[Hub]:
    """Run the server while the block runs."""
    state = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, files = unquote(urlsplit(self.path).path), self.state.files
        if path == f"/api/models/{REPOSITORY}" or path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            self.state.requests["info"] += 1
            self._json({"id": REPOSITORY, "sha": _COMMIT, "siblings": [{"rfilename": name} for name in files]})
        elif path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            self.state.requests["tree"] += 1
            self._json([_entry(name, content) for name, content in files.items()])
        elif path.startswith(f"/{REPOSITORY}/resolve/"):
            self.state.requests["resolve"] += 1
            content = files.get(path.removeprefix(f"/{REPOSITORY}/resolve/").partition("/")[2])
            self._reply(404, b"") if content is None else self._range(content)
        else:
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    def _range(self, content: bytes) -> None:
        text = self.headers.get("Range")
        if text is None:
            self._reply(200, content)
            return
        first, last = text.removeprefix("bytes=").split("-")
        self._reply(206, content[int(first) : int(last or len(content)) + 1])

    def _json(self, document: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._reply(status, json.dumps(document).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"X-Repo-Commit": _COMMIT, "Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entry(name: str, content: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

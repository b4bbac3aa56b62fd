"""A stand-in for the HTTP API of the Hugging Face Hub, for reading: one model repository with files of a dictionary."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from tests.support.stand_in import JsonHandler, running

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
    with running(_Handler, state):
        yield state


class _Handler(JsonHandler, BaseHTTPRequestHandler):
    state: Hub
    common_headers: ClassVar[dict[str, str]] = {"X-Repo-Commit": _COMMIT}

    def do_GET(self) -> None:
        path, files = unquote(urlsplit(self.path).path), self.state.files
        if path == f"/api/models/{REPOSITORY}" or path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            self.state.requests["info"] += 1
            self.reply_json({"id": REPOSITORY, "sha": _COMMIT, "siblings": [{"rfilename": name} for name in files]})
        elif path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            self.state.requests["tree"] += 1
            self.reply_json([_entry(name, content) for name, content in files.items()])
        elif path.startswith(f"/{REPOSITORY}/resolve/"):
            self.state.requests["resolve"] += 1
            content = files.get(path.removeprefix(f"/{REPOSITORY}/resolve/").partition("/")[2])
            self.reply(404, b"") if content is None else self._range(content)
        else:
            self.reply_json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    def _range(self, content: bytes) -> None:
        text = self.headers.get("Range")
        if text is None:
            self.reply(200, content)
            return
        first, last = text.removeprefix("bytes=").split("-")
        self.reply(206, content[int(first) : int(last or len(content)) + 1])


def _entry(name: str, content: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

"""A stand-in for the HTTP API of the Hugging Face Hub, for writing one data set. Larger files go through git LFS."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.stand_in import JsonHandler, running

DATASET = "user/digits"
LFS_BYTES = 2000  # larger files are uploaded before the commit


class HubDatasets:
    """The state of the server.

    Attributes:
        commits: The files of each commit, by name; the last one is visible.
        uploads: SHA-256 -> content of the files that were uploaded before a commit.
        num_uploads: Number of finished uploads.
        failing_uploads: The server answers 500 after this many uploads; None for never.
        is_readonly: Whether every write is forbidden.
        url: The endpoint.
    """

    def __init__(self) -> None:
        self.commits: list[dict[str, bytes]] = []
        self.uploads: dict[str, bytes] = {}
        self.num_uploads = 0
        self.failing_uploads: int | None = None
        self.is_readonly = False
        self.exists = False
        self.url = ""

    @property
    def files(self) -> dict[str, bytes]:
        """The visible files."""
        return self.commits[-1] if self.commits else {}

    @property
    def head(self) -> str:
        """The SHA of the last commit."""
        return f"{len(self.commits):040}"


@contextmanager
def hub_datasets() -> Iterator[HubDatasets]:
    """Run the server while the block runs."""
    state = HubDatasets()
    with running(_Handler, state):
        yield state


class _Handler(JsonHandler, BaseHTTPRequestHandler):
    state: HubDatasets
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state, path = self.state, unquote(urlsplit(self.path).path)
        if not state.exists:
            self.reply_json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif path.startswith(f"/api/datasets/{DATASET}"):
            self.reply_json({"id": DATASET, "sha": state.head, "siblings": [_sibling(*file) for file in state.files.items()]})
        elif path.startswith(f"/datasets/{DATASET}/resolve/"):
            content = state.files[path.removeprefix(f"/datasets/{DATASET}/resolve/").partition("/")[2]]
            self.reply(200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": state.head})
        else:
            self.reply_json({"error": f"unknown: {self.command} {self.path}"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)) if self.headers["Content-Length"] else self._chunks()
        path = urlsplit(self.path).path
        if self.state.is_readonly:
            self.reply_json({"error": "forbidden"}, 403)
        elif path == "/api/validate-yaml":  # of the data card
            self.reply_json({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._create()
        elif path.startswith(f"/api/datasets/{DATASET}/preupload/"):
            files = [(file["path"], "lfs" if file["size"] > LFS_BYTES else "regular") for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in files]
            self.reply_json({"files": modes})
        elif path == f"/datasets/{DATASET}.git/info/lfs/objects/batch":
            self.reply_json(
                {"transfer": "basic", "objects": [self._lfs_object(entry) for entry in json.loads(body)["objects"]]}
            )
        elif path.startswith(f"/api/datasets/{DATASET}/commit/"):
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self.reply_json({"error": f"unknown: {self.command} {self.path}"}, 404)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        state = self.state
        if state.failing_uploads is not None and state.num_uploads >= state.failing_uploads:
            self.reply_json({"error": "broken"}, 400)
            return
        assert hashlib.sha256(content).hexdigest() == self.path.rpartition("/")[2]
        state.uploads[self.path.rpartition("/")[2]] = content
        state.num_uploads += 1
        self.reply(200, b"", {})

    def _create(self) -> None:
        document = {"url": f"{self.state.url}/datasets/{DATASET}", "name": DATASET, "id": "1"}
        self.reply_json(document, 409 if self.state.exists else 200)
        self.state.exists = True

    def _lfs_object(self, entry: dict[str, Any]) -> dict[str, Any]:
        if entry["oid"] in self.state.uploads:
            return entry
        return entry | {"actions": {"upload": {"href": f"{self.state.url}/upload/{entry['oid']}"}}}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        header, *operations = lines
        if header["value"].get("parentCommit") != self.state.head:
            self.reply_json({"error": "the branch has changed"}, 412)
            return
        files = dict(self.state.files)
        for operation in operations:
            value = operation["value"]
            is_lfs = operation["key"] == "lfsFile"
            files[value["path"]] = self.state.uploads[value["oid"]] if is_lfs else base64.b64decode(value["content"])
        self.state.commits.append(files)
        self.reply_json(
            {
                "success": True,
                "commitOid": self.state.head,
                "commitUrl": f"{self.state.url}/datasets/{DATASET}/commit/{self.state.head}",
            }
        )

    def _chunks(self) -> bytes:
        """Read a body in chunked encoding."""
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
    if len(content) > LFS_BYTES:
        entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry

"""Stand-ins for HTTP APIs of other services: a server in a thread, with JSON answers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Protocol


class State(Protocol):
    """The state of a stand-in.

    Attributes:
        url: The endpoint.
    """

    url: str


class JsonHandler(BaseHTTPRequestHandler):
    """Answers requests. A subclass has `do_GET` and the type of `state`.

    Attributes:
        state: The state of the server.
        common_headers: Headers of all answers.
    """

    state: State
    common_headers: ClassVar[dict[str, str]] = {}

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def do_HEAD(self) -> None:
        """Answer as to GET; `reply` leaves out the body."""
        self.do_GET()

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in (self.common_headers | {"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_json(self, document: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send an answer of JSON."""
        self.reply(status, json.dumps(document).encode(), {"Content-Type": "application/json"} | (headers or {}))


@contextmanager
def running(handler: type[JsonHandler], state: State) -> Iterator[None]:
    """Run a server while the block runs, and set `state.url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"state": state}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

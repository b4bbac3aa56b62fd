"""An S3 server for tests (moto), in its own process, with faults on request.

    python -m tests.support.s3_server PORT [CERTIFICATE KEY]

After `POST /-/faults/N`, every Nth request of each operation fails, with the `KINDS` in turn (0: none).
`GET /-/counts` returns the number of requests by operation ("PUT"), and of faults ("PUT cut").
"""

import itertools
import json
import re
import socket
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

# "cut" closes the connection within the body of the request; "unanswered" closes it after the request was executed.
KINDS = ("500", "503", "cut", "unanswered")
_CODES = {"500": ("500 Internal Server Error", "InternalError"), "503": ("503 Slow Down", "SlowDown")}

Start = Callable[..., Any]


class FaultInjector:
    """WSGI middleware that lets some requests fail as real stores and networks do."""

    def __init__(self, application: Callable[[dict[str, Any], Start], Iterable[bytes]]) -> None:
        self._application = application
        self._period = 0
        self._requests: Counter[str] = Counter()  # since the last POST /-/faults
        self._kinds: defaultdict[str, Iterator[str]] = defaultdict(lambda: itertools.cycle(KINDS))
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/-/"):
            return self._control(path, start)
        kind = self._next(environ)
        match kind:
            case None:
                return self._application(environ, start)
            case "unanswered":
                b"".join(self._application(environ, lambda *_: lambda _: None))
                return self._hang_up(environ, start)
            case "cut":
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
                return self._hang_up(environ, start)
            case _:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                status, code = _CODES[kind]
                start(status, [("Content-Type", "application/xml")])
                return [f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()]

    def _control(self, path: str, start: Start) -> Iterable[bytes]:
        with self._lock:
            if (match := re.fullmatch(r"/-/faults/(\d+)", path)) is not None:
                self._period = int(match[1])
                self._requests.clear()
                self._kinds.clear()
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self._counts).encode()]

    def _next(self, environ: dict[str, Any]) -> str | None:
        with self._lock:
            operation = _operation(environ)
            self._counts[operation] += 1
            self._requests[operation] += 1
            if not self._period or self._requests[operation] % self._period:
                return None
            kind = next(self._kinds[operation])
            self._counts[f"{operation} {kind}"] += 1
            return kind

    @staticmethod
    def _hang_up(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        start("500 Gone", [])
        return []


def _operation(environ: dict[str, Any]) -> str:
    method, query = environ["REQUEST_METHOD"], environ["QUERY_STRING"]
    if method == "PUT" and "partNumber=" in query:
        return "PART"
    return "LIST" if method == "GET" and "list-type=2" in query else method


def main() -> None:
    application = FaultInjector(DomainDispatcherApplication(create_backend_app))
    port, *certificate = sys.argv[1:]
    run_simple(
        *("127.0.0.1", int(port), application),
        threaded=True,
        request_handler=MotoRequestHandler,
        ssl_context=(certificate[0], certificate[1]) if certificate else None,
    )


if __name__ == "__main__":
    main()

"""The application with one model repository, without sockets and without BentoML: by ASGI, or with uvicorn's protocol class."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn
from starlette.types import ASGIApp, Message
from uvicorn.server import ServerState

from seedmint.service.api.jobs.feature import create_jobs
from seedmint.service.api.pinned import PinnedResources
from seedmint.service.api.problem_mapping import to_problem
from seedmint.service.api.routing.routes import create_app
from seedmint.service.batching.local_leader import LocalLeader
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.batching.place_scanner import PlaceScanner
from seedmint.service.places.opening import open_places
from seedmint.service.server.auth_middleware import AccessControl, AuthMiddleware
from seedmint.service.server.connections import Connections
from seedmint.service.server.cors import CorsMiddleware
from seedmint.service.server.fast_path import FastPath
from seedmint.service.server.graceful_shutdown import GracefulShutdown
from seedmint.service.server.http_protocol import BoundedProtocol, bounded_protocol
from seedmint.service.server.request_accounting import RequestAccounting
from seedmint.service.server.request_middleware import RequestMiddleware
from seedmint.service.settings import Settings
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext

Headers = Sequence[tuple[bytes, bytes]]

_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    """A response as ASGI messages carry it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


class Transport:
    """The transport of a connection without a socket.

    Attributes:
        written: Everything that the server has written.
        closed: Set when the server has closed the connection.
    """

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed.set()

    abort = close

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_extra_info(self, name: str) -> Any:
        return _Socket() if name == "socket" else None


class _Socket:
    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 1

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 2

    def setsockopt(self, *_: object) -> None: ...


class Application:
    """The routes and the protocol class, on their own event loop.

    Attributes:
        routes: The application without middleware.
        resources: The immutable resources of both.
        shutdown: State of the shutdown of both.
        passed_on: The number of requests that the application answered, and not the fast path.
    """

    def __init__(self, models: Path, runner: asyncio.Runner) -> None:
        self.settings = Settings(models=models)
        self.repository = ModelRepository(self.settings)
        self.leader = LocalLeader(self.repository, PlaceScanner(open_places(self.settings), self.settings.watch_seconds))
        self.runner = runner
        self.passed_on = 0
        self.resources = PinnedResources(self.repository, self.settings)
        self.shutdown = GracefulShutdown()
        jobs = create_jobs(self.repository, self.settings, lambda: self.shutdown.draining)
        self.routes: ASGIApp = create_app(self.repository, self.resources, self.settings, jobs)

    def pinned(self, name: str) -> str:
        return f"/v1/models/{name}@{self.repository.find(name, None).generator.digest12}"

    def send(self, app: ASGIApp, method: str, path: str, query: str = "", headers: Headers = ()) -> Answer:
        """Send one request to an ASGI application, and wait for its response."""
        return self.runner.run(request(app, method, path, query, headers))

    def protocol(
        self, is_fast: bool, origins: tuple[str, ...] = (), access: AccessControl | None = None, needs_address: bool = False
    ) -> BoundedProtocol:
        """Return the protocol of a new connection. Call it on the event loop.

        Args:
            is_fast: Whether the connection has the fast path.
            origins: Allowed origins.
            access: API keys and rate limits.
            needs_address: Whether the address of the client may be in a header, and is needed.
        """

        async def count(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
            self.passed_on += is_fast
            await app(scope, receive, send)

        cors = partial(CorsMiddleware, origins=origins) if origins else None
        inner = self.routes if access is None else AuthMiddleware(self.routes, access)
        app = RequestMiddleware(inner, 30.0, self.shutdown, cors=cors)
        kind = bounded_protocol(Connections(30.0), origins)
        if is_fast:
            accounting = RequestAccounting(access_log=False)
            kind.fast_path = FastPath(
                self.resources.match, to_problem, self.shutdown, accounting, access, origins, needs_address
            )
        config = uvicorn.Config(count, http=kind, ws="none", log_config=None, access_log=False, proxy_headers=False)
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"Sat, 28 Nov 2026 12:00:00 GMT")]
        protocol = kind(config, state, {}, asyncio.get_running_loop())
        protocol.connection_made(Transport())  # type: ignore[arg-type]
        return protocol

    def exchange(self, is_fast: bool, data: bytes, **options: Any) -> bytes:
        """Send requests on one connection, and return everything that the server sends until it closes the connection.

        Args:
            is_fast: Whether the connection has the fast path.
            data: The requests. The last one has `Connection: close`, or is invalid.
            options: Arguments of `protocol`.
        """

        async def run() -> bytes:
            protocol = self.protocol(is_fast, **options)
            protocol.data_received(data)
            transport: Any = protocol.transport
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await transport.closed.wait()
            protocol.connection_lost(None)
            return bytes(transport.written)

        return self.runner.run(run())


def message(method: str, target: str, headers: Headers = (), close: bool = True) -> bytes:
    """Return a request as the lines of HTTP/1.1.

    Args:
        method: HTTP method.
        target: Path and query.
        headers: Names and values, besides Host and X-Request-Id.
        close: Whether the server closes the connection after the response.
    """
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: test", b"X-Request-Id: test-1"]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, *([b"Connection: close"] if close else []), b"", b""])


def parse_answer(data: bytes) -> Answer:
    """Parse one response without a transfer encoding.

    Args:
        data: The bytes of the response.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    pairs = [line.split(b": ", 1) for line in lines]
    return Answer(int(status.split()[1]), [(name, value) for name, value in pairs], body)


async def request(app: ASGIApp, method: str, path: str, query: str = "", headers: Headers = ()) -> Answer:
    """Send one request to an ASGI application.

    Args:
        app: The application.
        method: HTTP method.
        path: Path of the URL, percent-encoded.
        query: Query string, without "?".
        headers: Names in lower case, and values.
    """
    REQUEST_CONTEXT.set(RequestContext(b"test", "127.0.0.1"))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(b"host", b"test"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "asgi": {"version": "3.0"},
    }
    messages: list[Message] = []

    async def receive() -> Message:
        if messages:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start = messages[0]
    return Answer(start["status"], list(start["headers"]), b"".join(message.get("body", b"") for message in messages[1:]))


@contextmanager
def application(models: Path) -> Iterator[Application]:
    """Load the generators of a directory, and close them at the end."""
    with asyncio.Runner() as runner:
        created = Application(models, runner)
        runner.run(created.leader.scan())
        runner.run(created.repository.start())
        try:
            yield created
        finally:
            created.leader.close()
            runner.run(created.repository.close())
            created.resources.close()

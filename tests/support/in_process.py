"""The routes and the fast path with one model repository, without sockets and without BentoML."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from seedmint.service.api.fast_path import FastPath
from seedmint.service.api.pinned import PinnedResources
from seedmint.service.api.routing.routes import create_app
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.settings import Settings
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """A response as ASGI messages carry it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


class Application:
    """The routes and the fast path, on their own event loop.

    Attributes:
        routes: The application without the fast path.
        resources: The immutable resources, which both share.
        fast_path: The application behind the fast path.
        passed_on: The number of requests that the fast path passed on to the routes.
    """

    def __init__(self, models: Path, runner: asyncio.Runner) -> None:
        self.settings = Settings(models=models)
        self.repository = ModelRepository(self.settings)
        self.runner = runner
        self.passed_on = 0
        self.resources = PinnedResources(self.repository, self.settings)
        self.routes: ASGIApp = create_app(self.repository, self.resources, self.settings)
        self.fast_path: ASGIApp = FastPath(self._count_and_pass_on, self.resources)

    async def _count_and_pass_on(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        self.passed_on += 1
        await self.routes(scope, receive, send)

    def pinned(self, name: str) -> str:
        return f"/v1/models/{name}@{self.repository.find(name, None).generator.digest12}"

    def send(self, app: ASGIApp, method: str, path: str, query: str = "", headers: Headers = ()) -> Answer:
        """Send one request and wait for its response."""
        return self.runner.run(request(app, method, path, query, headers))


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
        runner.run(created.repository.start())
        try:
            yield created
        finally:
            runner.run(created.repository.close())
            created.resources.close()

"""The smallest BentoML service: it mounts an ASGI application and answers 304 to every request.

Run with: bentoml serve benchmarks.peers.bare:Bare
"""

import bentoml
from starlette.types import Receive, Scope, Send

_HEADERS = [(b"etag", b'"00000000000000000000000000000000"'), (b"cache-control", b"public, max-age=31536000, immutable")]


async def not_modified(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 304, "headers": _HEADERS})
    await send({"type": "http.response.body"})


@bentoml.service(
    metrics={"enabled": False}, logging={"access": {"enabled": False}}, tracing={"excluded_urls": ".*"}, traffic={"timeout": 5}
)
@bentoml.asgi_app(not_modified)
class Bare:
    """A service without an API of its own; `not_modified` answers every request."""

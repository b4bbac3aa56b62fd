"""The least that BentoML can do: an ASGI application mounted in it, lean as ours, that answers 304 to everything.

bentoml serve benchmarks.peers.bare:Bare
"""

import bentoml
from starlette.types import Receive, Scope, Send

_HEADERS = [(b"etag", b'"00000000000000000000000000000000"'), (b"cache-control", b"public, max-age=31536000, immutable")]


async def unchanged(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 304, "headers": _HEADERS})
    await send({"type": "http.response.body"})


@bentoml.service(
    metrics={"enabled": False}, logging={"access": {"enabled": False}}, tracing={"excluded_urls": ".*"}, traffic={"timeout": 5}
)
@bentoml.asgi_app(unchanged)
class Bare:
    """Nothing of its own."""

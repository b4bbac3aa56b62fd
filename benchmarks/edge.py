"""CPU time that each middleware adds to a request, measured around an application that responds immediately.

python benchmarks/edge.py
"""

import asyncio
import hashlib
import logging
import os
import platform
import tempfile
import time
from functools import partial
from typing import Any

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()  # as in a worker; the metrics module reads it on import

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seedmint.service.server.api_keys import Keyring, new_key
from seedmint.service.server.auth_middleware import AccessControl, AuthMiddleware
from seedmint.service.server.cors import CorsMiddleware
from seedmint.service.server.graceful_shutdown import GracefulShutdown
from seedmint.service.server.rate_limiter import RateLimiter
from seedmint.service.server.request_middleware import RequestMiddleware
from seedmint.service.settings import read_settings
from seedmint.service.telemetry.logs import configure_logs

_REQUESTS = 10_000
_ROUNDS = 9  # alternating; the fastest round counts

START = {"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"x"'), (b"content-type", b"image/png")]}
BODY = {"type": "http.response.body", "body": b"x" * 500}
KEY, LINE = new_key("benchmark")
HEADERS = [(b"host", b"localhost:3000"), (b"user-agent", b"benchmark"), (b"x-api-key", KEY.encode())]


class _Route:
    path = "/v1/models/{name}@{digest}/images/{file}"


async def _respond(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = _Route
    await send(START)
    await send(BODY)


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    pass


def _microseconds(app: ASGIApp) -> float:
    """Measure the CPU time of one request.

    Args:
        app: The ASGI application.

    Returns:
        Microseconds per request.
    """

    async def measure() -> float:
        started = time.process_time()
        for _ in range(_REQUESTS):
            scope: dict[str, Any] = {
                "type": "http",
                "method": "GET",
                "path": "/",
                "headers": HEADERS,
                "client": ("127.0.0.1", 1),
            }
            await app(scope, _receive, _send)
        return (time.process_time() - started) / _REQUESTS * 1e6

    return asyncio.run(measure())


def main() -> None:
    others = [(f"other{i}:{hashlib.sha256(bytes([i])).hexdigest()}", "api_keys", "here") for i in range(9)]
    ring = Keyring([*others, (LINE, "api_keys", "here")])
    limits = RateLimiter(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": "1e6", "SEEDMINT_IMAGES_PER_MINUTE": "600"}))
    logging.getLogger().addHandler(logging.StreamHandler(open(os.devnull, "w")))  # noqa: SIM115, PTH123
    logging.getLogger("seedmint").setLevel(logging.INFO)
    configure_logs("json")
    middleware = partial(RequestMiddleware, timeout_seconds=30.0, shutdown=GracefulShutdown())
    apps: dict[str, ASGIApp] = {
        "no middleware": _respond,
        "request middleware (default)": middleware(_respond),
        "with ten API keys": middleware(AuthMiddleware(_respond, AccessControl(ring, None))),
        "with rate limits": middleware(AuthMiddleware(_respond, AccessControl(None, limits))),
        "with CORS": middleware(CorsMiddleware(_respond, ("https://lab.example",))),
        "with a JSON access log": middleware(_respond, access_log=True),
    }
    rounds = [[_microseconds(app) for app in apps.values()] for _ in range(_ROUNDS)]
    baseline, *costs = (min(times) for times in zip(*rounds, strict=True))
    print(f"{platform.machine()}, Python {platform.python_version()}, best of {_ROUNDS} rounds of {_REQUESTS:,} requests\n")
    for name, cost in zip(list(apps)[1:], costs, strict=True):
        print(f"{name:32} {cost - baseline:5.1f} us per request")


if __name__ == "__main__":
    main()

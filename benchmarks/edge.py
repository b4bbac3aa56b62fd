"""What each outer layer of the service costs a request: processor time around an application that answers at once.

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

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()  # as in a worker: read when the service's metrics are made

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seedmint.service.server.api_keys import Keyring, new_key
from seedmint.service.server.auth_middleware import AuthMiddleware
from seedmint.service.server.cors import CorsMiddleware
from seedmint.service.server.graceful_shutdown import GracefulShutdown
from seedmint.service.server.rate_limiter import Limits
from seedmint.service.server.request_middleware import RequestMiddleware
from seedmint.service.settings import read_settings
from seedmint.service.telemetry.logs import configure_logs

_REQUESTS = 10_000
_ROUNDS = 9  # alternating; the fastest is told

START = {"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"x"'), (b"content-type", b"image/png")]}
BODY = {"type": "http.response.body", "body": b"x" * 500}
KEY, LINE = new_key("benchmark")
HEADERS = [(b"host", b"localhost:3000"), (b"user-agent", b"benchmark"), (b"x-api-key", KEY.encode())]


class _Route:
    path = "/v1/models/{name}@{digest}/images/{file}"


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = _Route
    await send(START)
    await send(BODY)


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    pass


def _microseconds(app: ASGIApp) -> float:
    """Processor time of one request, in µs."""

    async def ask() -> float:
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

    return asyncio.run(ask())


def main() -> None:
    others = [(f"other{i}:{hashlib.sha256(bytes([i])).hexdigest()}", "here") for i in range(9)]
    ring = Keyring([*others, (LINE, "here")])
    limits = Limits(read_settings({"SEEDMINT_REQUESTS_PER_SECOND": "1e6", "SEEDMINT_IMAGES_PER_MINUTE": "600"}))
    logging.getLogger().addHandler(logging.StreamHandler(open(os.devnull, "w")))  # noqa: SIM115, PTH123
    logging.getLogger("seedmint").setLevel(logging.INFO)
    configure_logs("json")
    edge = partial(RequestMiddleware, timeout_seconds=30.0, stopping=GracefulShutdown())
    apps: dict[str, ASGIApp] = {
        "nothing": _answer,
        "the edge alone, as by default": edge(_answer),
        "with ten keys": edge(AuthMiddleware(_answer, ring, None)),
        "with limits": edge(AuthMiddleware(_answer, None, limits)),
        "with an allowed origin": edge(CorsMiddleware(_answer, ("https://lab.example",))),
        "with a line of JSON in the log": edge(_answer, access_log=True),
    }
    rounds = [[_microseconds(app) for app in apps.values()] for _ in range(_ROUNDS)]
    nothing, *costs = (min(times) for times in zip(*rounds, strict=True))
    print(f"{platform.machine()}, Python {platform.python_version()}, best of {_ROUNDS} rounds of {_REQUESTS:,} requests\n")
    for name, cost in zip(list(apps)[1:], costs, strict=True):
        print(f"{name:32} {cost - nothing:5.1f} us a request")


if __name__ == "__main__":
    main()

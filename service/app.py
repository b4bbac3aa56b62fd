"""The BentoML service: `bentoml serve service.app:Seedmint`, or simply `seedmint serve`."""

import logging
from pathlib import Path
from typing import Any

import bentoml
from pydantic import ValidationError
from starlette.types import ASGIApp

from service import bulk
from service.edge import Edge
from service.library import Library
from service.problems import Problem
from service.routes import Routes
from service.settings import read_settings

logging.getLogger("seedmint").setLevel(logging.INFO)

_SETTINGS = read_settings()
_LIBRARY = Library(_SETTINGS)


class _Lean(bentoml.Service[Any]):  # type: ignore[misc]
    """A BentoML service with our own outermost layer, in which every request is bounded, counted and answered as promised."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        app = super().to_asgi(is_main)
        # BentoML's timeout leaves a timer behind each request until it runs out, answered or not: tens of thousands of live
        # objects that every garbage collection walks through. Ours, in the routes, end with the request.
        app.user_middleware = [entry for entry in app.user_middleware if entry.cls.__name__ != "TimeoutMiddleware"]
        app.router.redirect_slashes = False  # one resource, one address
        return Edge(app, _SETTINGS.timeout_seconds)


def _is_news(record: logging.LogRecord) -> bool:
    """Not the traceback that BentoML logs for a malformed request: the client is told what is wrong with it."""
    return not (record.exc_info and record.exc_info[0] and issubclass(record.exc_info[0], ValidationError))


logging.getLogger("bentoml._internal.server.http_app").addFilter(_is_news)


@bentoml.service(
    service_class=_Lean,
    workers=_SETTINGS.workers,
    http={"host": str(_SETTINGS.host), "port": _SETTINGS.port},
    # BentoML labels its metrics with the raw path: a series for each seed ever asked for. Ours stand at the same address.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(Routes(_LIBRARY, _SETTINGS).app())
class Seedmint:
    """Images by seed. A seed is an address: see /v1/models."""

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        _LIBRARY.start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        await _LIBRARY.close()

    async def __is_ready__(self) -> bool:
        return _LIBRARY.ready

    @bentoml.api(input_spec=bulk.SampleRequest)  # type: ignore[untyped-decorator]
    async def sample(self, **asked: Any) -> Path:
        """Images of many seeds in one file: a zip of PNGs, or arrays as npz or npy."""
        try:
            answer = await bulk.sample(_LIBRARY, _SETTINGS, bulk.SampleRequest.model_construct(**asked))
        except Problem as problem:
            answer = problem.response()
        return answer  # type: ignore[return-value]  # BentoML passes a response on, and tells clients that it is a file

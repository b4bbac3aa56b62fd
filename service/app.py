"""The BentoML service: `bentoml serve service.app:Seedmint`, or simply `seedmint serve`."""

import asyncio
import json
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import bentoml
from starlette.routing import Mount
from starlette.types import ASGIApp

from seedmint.models.runtime.memory import bound_memory
from seedmint.service.api import bulk_samples
from seedmint.service.api.fast_path import FastPath
from seedmint.service.api.jobs.feature import create_jobs
from seedmint.service.api.routes import create_app
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.server.api_keys import read_keyring
from seedmint.service.server.auth_middleware import AuthMiddleware
from seedmint.service.server.connections import Connections, current_server, raise_descriptors
from seedmint.service.server.cors import CorsMiddleware
from seedmint.service.server.graceful_shutdown import GracefulShutdown
from seedmint.service.server.http_protocol import bound
from seedmint.service.server.rate_limiter import limits_of
from seedmint.service.server.request_middleware import RequestMiddleware
from seedmint.service.settings import read_settings
from seedmint.service.telemetry.logs import configure_logs

logging.getLogger("seedmint").setLevel(logging.INFO)

_SETTINGS = read_settings()
_KEYRING = read_keyring(_SETTINGS)
_REPOSITORY = ModelRepository(_SETTINGS)
_JOBS = create_jobs(_REPOSITORY, _SETTINGS)
_ROUTES = create_app(_REPOSITORY, _SETTINGS, _JOBS.routes())
_STOPPING = GracefulShutdown()
configure_logs(_SETTINGS.log_format)

# BentoML gives uvicorn no settings for proxies, and uvicorn by itself would believe any client on this machine.
os.environ["FORWARDED_ALLOW_IPS"] = ",".join(map(str, _SETTINGS.trusted_proxies))

# What is relied on inside BentoML, which is pinned: these three routes by name (its clients read /schema.json), our mounted
# application, and one middleware, by its class's name.
_KEPT_ROUTES = {"livez", "readyz", "schema"}
_TIMEOUT = "TimeoutMiddleware"

_QUIET_SECONDS = 3.0


class _Lean(bentoml.Service[Any]):  # type: ignore[misc]
    """A BentoML service with our own outermost layer, in which every request is bounded, counted and answered as promised."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        app = super().to_asgi(is_main)
        # BentoML's timeout leaves a timer behind each request until it runs out, answered or not: tens of thousands of live
        # objects that every garbage collection walks through. Ours, in the routes, end with the request.
        kept = [entry for entry in app.user_middleware if entry.cls.__name__ != _TIMEOUT]
        # Its own route for /sample would validate a body on the event loop, without bounds; /docs.json would know only that.
        routes = [route for route in app.routes if getattr(route, "name", None) in _KEPT_ROUTES or _is_ours(route)]
        if len(app.user_middleware) - len(kept) != 1 or len(routes) != len(_KEPT_ROUTES) + 1:
            raise RuntimeError(f"BentoML {bentoml.__version__} is not as service/app.py relies on it")
        app.user_middleware = kept
        app.router.routes = routes
        app.router.redirect_slashes = False  # one resource, one address
        return _guarded(app)


def _guarded(app: ASGIApp) -> ASGIApp:
    """The application behind the layers that the settings ask for."""
    if not _SETTINGS.tracing:  # BentoML's layer for traces lies behind it
        app = FastPath(app, _REPOSITORY, _SETTINGS)
    limits = limits_of(_SETTINGS)
    if _KEYRING is not None or limits is not None:
        app = AuthMiddleware(app, _KEYRING, limits)
    edge = partial(RequestMiddleware, app, _SETTINGS.timeout_seconds, _STOPPING, _SETTINGS.access_log)
    return edge(partial(CorsMiddleware, origins=_SETTINGS.allowed_origins)) if _SETTINGS.allowed_origins else edge()


def _is_ours(route: object) -> bool:
    return isinstance(route, Mount) and route.app is _ROUTES


@bentoml.service(
    service_class=_Lean,
    workers=_SETTINGS.workers,
    http={"host": str(_SETTINGS.host), "port": _SETTINGS.port},
    # BentoML labels its metrics with the raw path: a series for each seed ever asked for. Ours stand at the same address.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    # Its OpenTelemetry layer works on every request that is not excluded, also when no trace is kept.
    tracing={"excluded_urls": "livez$,readyz$,metrics$" if _SETTINGS.tracing else ".*"},
)
@bentoml.asgi_app(_ROUTES)
class Seedmint:
    """Images by seed. A seed is an address: see /v1/models."""

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        server = current_server()
        bound(server, _SETTINGS.allowed_origins)
        connections = Connections(server, _SETTINGS.timeout_seconds, raise_descriptors())
        self._watching = asyncio.create_task(connections.watch())
        _STOPPING.watch()
        bound_memory(_SETTINGS.workers)
        # Workers accept from one socket. With several, each loads before it accepts, so that ready means all that answer. One
        # alone loads first, too, so that nobody notices more than a pause when it takes the place of one that died; but after
        # some seconds it says what it is doing.
        await _REPOSITORY.start(None if _SETTINGS.workers > 1 else _QUIET_SECONDS)
        _JOBS.start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        self._watching.cancel()
        await _JOBS.close()
        await _REPOSITORY.close()

    async def __is_ready__(self) -> bool:
        return _REPOSITORY.ready

    @bentoml.api(input_spec=bulk_samples.SampleRequest)  # type: ignore[untyped-decorator]
    async def sample(self, **asked: Any) -> Path:
        """Images of many seeds in one file (a zip of PNGs, npz or npy), or samples (npz, npy, csv or jsonl)."""
        # BentoML's clients know it by /schema.json. Over HTTP, Handlers.sample answers, which bounds the body too.
        # BentoML passes the response on; the annotation tells its clients that it is a file.
        return await bulk_samples.sample(_REPOSITORY, _SETTINGS, json.dumps(asked).encode())  # type: ignore[return-value]

"""The BentoML service. `seedmint serve` and `bentoml serve seedmint.service.app:Seedmint` both serve it."""

import asyncio
import json
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import bentoml
from starlette.types import ASGIApp

from seedmint.models.runtime.memory import bound_memory
from seedmint.service.api import bulk_samples
from seedmint.service.api.jobs.feature import create_jobs
from seedmint.service.api.pinned import PinnedResources
from seedmint.service.api.problem_mapping import to_problem
from seedmint.service.api.routing.routes import create_app
from seedmint.service.batching import leader_state
from seedmint.service.batching.generator_follower import GeneratorFollower
from seedmint.service.batching.local_leader import LocalLeader
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.batching.place_scanner import PlaceScanner
from seedmint.service.places.opening import open_places
from seedmint.service.server import key_leader, shared_buckets
from seedmint.service.server.api_keys import Keyring, read_keyring
from seedmint.service.server.auth_middleware import AccessControl, AuthMiddleware
from seedmint.service.server.bentoml_adapter import BentoEndpoints, service_class, traced
from seedmint.service.server.connections import Connections, raise_descriptor_limit
from seedmint.service.server.control_channel import Message
from seedmint.service.server.cors import CorsMiddleware
from seedmint.service.server.fast_path import FastPath
from seedmint.service.server.graceful_shutdown import GracefulShutdown
from seedmint.service.server.http_protocol import bounded_protocol
from seedmint.service.server.parent_watch import end_with_supervisor
from seedmint.service.server.rate_limiter import create_rate_limiter
from seedmint.service.server.request_accounting import RequestAccounting
from seedmint.service.server.request_middleware import RequestMiddleware
from seedmint.service.server.shared_buckets import SharedTable
from seedmint.service.server.worker_link import WorkerLink, supervisor_link
from seedmint.service.settings import read_settings
from seedmint.service.telemetry.logs import configure_logs

logging.getLogger("seedmint").setLevel(logging.INFO)

SETTINGS = read_settings()
SUPERVISOR = os.getppid()  # of `seedmint serve` or of `bentoml serve`
_CONNECTIONS = Connections(SETTINGS.timeout_seconds)
HTTP_PROTOCOL = bounded_protocol(
    _CONNECTIONS, SETTINGS.allowed_origins, SETTINGS.root_path, SETTINGS.trusted_proxies, SETTINGS.keep_alive_seconds
)

_LINK = supervisor_link()  # None under `bentoml serve`: each worker reads the keys and the directory by itself
_KEYRING = read_keyring(SETTINGS) if _LINK is None else Keyring([]) if SETTINGS.needs_keys else None
_LIMITER = create_rate_limiter(SETTINGS)
_ACCESS = None if _KEYRING is None and _LIMITER is None else AccessControl(_KEYRING, _LIMITER, SETTINGS.max_signed_seconds)
_REPOSITORY = ModelRepository(SETTINGS)
_RESOURCES = PinnedResources(_REPOSITORY, SETTINGS)
_SHUTDOWN = GracefulShutdown()
_JOBS = create_jobs(_REPOSITORY, SETTINGS, lambda: _SHUTDOWN.draining)
configure_logs(SETTINGS.log_format)

# A single worker accepts requests after this time, even if it is still loading generators. Then it answers 503.
_MAX_START_SECONDS = 3.0


def _create_app(bentoml_app: ASGIApp) -> ASGIApp:
    """Return the application of the service, inside the middleware that the settings require.

    Args:
        bentoml_app: BentoML's application of the service.
    """
    routes = create_app(_REPOSITORY, _RESOURCES, SETTINGS, _JOBS)
    routes.router.redirect_slashes = False  # each resource has one URL
    app: ASGIApp = BentoEndpoints(routes, bentoml_app)
    if SETTINGS.tracing:
        app = traced(app, "Seedmint")
    if _ACCESS is not None:
        app = AuthMiddleware(app, _ACCESS)
    origins = SETTINGS.allowed_origins
    if not SETTINGS.tracing:  # the application adds a span to each request
        HTTP_PROTOCOL.fast_path = FastPath(
            _RESOURCES.match,
            to_problem,
            _SHUTDOWN,
            RequestAccounting(SETTINGS.access_log),
            _ACCESS,
            origins,
            needs_address=bool(SETTINGS.trusted_proxies) and (_ACCESS is not None or SETTINGS.access_log),
        )
    cors = partial(CorsMiddleware, origins=origins) if origins else None
    return RequestMiddleware(app, SETTINGS.timeout_seconds, _SHUTDOWN, SETTINGS.access_log, cors, SETTINGS.root_path)


def _take_keys(message: Message, _: int | None) -> None:
    assert _ACCESS is not None
    _ACCESS.keyring = Keyring([(line, field, position) for line, field, position in message["entries"]])


def _take_limits(message: Message, table: int | None) -> None:
    assert _LIMITER is not None
    assert table is not None
    _LIMITER.share(SharedTable(table, bytes.fromhex(message["salt"])))


def _follow(link: WorkerLink) -> asyncio.Task[None]:
    """Follow the supervisor, and return the task that loads generators."""
    follower = GeneratorFollower(_REPOSITORY, link.send)
    link.connect({leader_state.ABOUT: follower.handle, key_leader.ABOUT: _take_keys, shared_buckets.ABOUT: _take_limits})
    return asyncio.create_task(follower.run())


def _lead() -> asyncio.Task[None]:
    """Follow the places of generators in this process, and return the task."""
    scanner = PlaceScanner(open_places(SETTINGS), SETTINGS.watch_seconds)
    return asyncio.create_task(LocalLeader(_REPOSITORY, scanner).run())


@bentoml.service(
    service_class=service_class(_create_app, HTTP_PROTOCOL, ",".join(map(str, SETTINGS.trusted_proxies))),
    workers=SETTINGS.workers,
    http={"host": str(SETTINGS.host), "port": SETTINGS.port},
    # BentoML's metrics have the raw path as a label: a time series for each seed. The service has its own metrics.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    # BentoML's OpenTelemetry middleware costs time for each request, also without traces. `traced` adds it on demand.
    tracing={"excluded_urls": ".*"},
)
class Seedmint:
    """Serves images and samples by seed. `GET /v1/models` lists the generators."""

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Load the generators, and start the background tasks."""
        self._tasks = [asyncio.create_task(_CONNECTIONS.close_idle(raise_descriptor_limit()))]
        if _SHUTDOWN.install() and _LINK is None:
            self._tasks.append(asyncio.create_task(end_with_supervisor(SUPERVISOR)))
        bound_memory(SETTINGS.workers)
        self._tasks.append(_lead() if _LINK is None else _follow(_LINK))
        # All workers accept connections from one socket. With several workers, each worker first loads its generators, because
        # the other workers can answer. A single worker does the same for a few seconds, so that clients
        # notice only a short pause when a new worker replaces a dead one.
        await _REPOSITORY.start(None if SETTINGS.workers > 1 else _MAX_START_SECONDS)
        _JOBS.start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Stop the background tasks."""
        for task in self._tasks:
            task.cancel()
        await _JOBS.close()
        await _REPOSITORY.close()
        _RESOURCES.close()

    async def __is_ready__(self) -> bool:
        return _REPOSITORY.is_ready()

    @bentoml.api(input_spec=bulk_samples.SampleRequest)  # type: ignore[untyped-decorator]
    async def sample(self, **body: Any) -> Path:
        """Return images of many seeds in one file (a zip of PNGs, npz or npy), or samples (npz, npy, csv, jsonl or txt).

        BentoML's clients find this method in /schema.json, and send POST /sample. The route table of the service answers that
        request, with limits on the body; only calls within a process reach this method.
        """
        # BentoML returns a response as it is. The annotation tells its clients that the response is a file.
        return await bulk_samples.sample(_REPOSITORY, SETTINGS, json.dumps(body).encode())  # type: ignore[return-value]

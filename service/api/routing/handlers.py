"""Request handlers of the generators, images, samples, documents and metrics."""

import asyncio
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from seedmint.models.version import __version__
from seedmint.service.api import bulk_samples
from seedmint.service.api.conditional import conditional_response, if_none_match
from seedmint.service.api.openapi.documents import DocumentWriter
from seedmint.service.api.openapi.operations import Operation
from seedmint.service.api.pages import explorer_page, reference_page
from seedmint.service.api.pinned import PinnedResources, complete
from seedmint.service.api.query import parse_reference
from seedmint.service.api.request_body import read_body
from seedmint.service.api.schemas import Generators, generator_page, summary
from seedmint.service.api.urls import Spec, canonical_url
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.runtime.generator import Generator
from seedmint.service.server.replies import ReplyResponse
from seedmint.service.settings import Settings
from seedmint.service.telemetry import metrics

_NO_CACHE = {"Cache-Control": "no-cache"}
_NO_STORE = {"Cache-Control": "no-store"}

ParseSpec = Callable[[Generator, str, str], Spec]
"""Parses the last part of a path and a query string into a spec."""


class Handlers:
    """Request handlers of the routes in `routes.ENDPOINTS`. Lives on one event loop."""

    def __init__(
        self,
        repository: ModelRepository,
        resources: PinnedResources,
        settings: Settings,
        operations: Sequence[tuple[str, Operation]],
    ) -> None:
        """
        Args:
            repository: The generators.
            resources: The immutable resources of the generators.
            settings: The settings of the service.
            operations: Route templates and operations of the OpenAPI document.
        """
        self._repository = repository
        self._settings = settings
        self._resources = resources
        self._documents = DocumentWriter(settings, operations)

    async def page(self, _: Request) -> Response:
        """Answer `GET /`.

        Args:
            _: The request.
        """
        # The page is public. With API keys, only its scripts may show generators.
        return explorer_page([] if self._settings.needs_keys else self._generators())

    async def reference(self, _: Request) -> Response:
        """Answer `GET /docs`.

        Args:
            _: The request.
        """
        return reference_page()

    async def specification(self, request: Request) -> Response:
        """Answer `GET /openapi.json`.

        Args:
            request: The request.
        """
        document = await self._documents.document(self._generators())
        return conditional_response(request, document.content, document.tag, _NO_CACHE, "application/json")

    async def metrics(self, _: Request) -> Response:
        """Answer `GET /metrics`.

        Args:
            _: The request.
        """
        self._repository.update_metrics()
        gauges = metrics.ScrapeGauges(self._generators(), self._repository.load_errors(), self._repository.readable)
        text = await asyncio.to_thread(metrics.exposition, gauges)
        return Response(text, 200, _NO_STORE, metrics.CONTENT_TYPE)

    async def models(self, _: Request) -> Response:
        """Answer `GET /v1/models`.

        Args:
            _: The request.
        """
        return _json(
            Generators(version=__version__, models=tuple(summary(served.generator) for served in self._repository.all()))
        )

    async def model(self, request: Request) -> Response:
        """Answer `GET /v1/models/{model}`.

        Args:
            request: The request.
        """
        reference = parse_reference(request.path_params["model"])
        return _json(generator_page(self._repository.find(*reference).generator))

    async def pinned(self, request: Request, parse: ParseSpec) -> Response:
        """Answer GET of a URL with a digest: redirect to the canonical URL, or send the immutable response.

        Args:
            request: The request; its path has the parameters `name`, `digest` and `file`.
            parse: Parser of `file`.
        """
        name, digest = parse_reference(f"{request.path_params['name']}@{request.path_params['digest']}")
        served = self._repository.find(name, digest)
        query = _query(request)
        spec = parse(served.generator, request.path_params["file"], query)
        url = canonical_url(served.generator, spec)
        # Percent-encoding is ignored: a proxy that encodes some characters would send a redirected request again as it was.
        requested_path = request.scope["path"]
        if url != (f"{requested_path}?{unquote(query)}" if query else requested_path):
            return RedirectResponse(url, 308, {"Cache-Control": self._resources.cache_control})
        result = self._resources.respond(request.method, if_none_match(request), served, spec, url)
        return ReplyResponse(await complete(result))

    async def current(self, request: Request, parse: ParseSpec) -> Response:
        """Answer GET of a URL without digest: redirect to the canonical URL of the current version.

        Args:
            request: The request; its path has the parameters `name` and `file`.
            parse: Parser of `file`.
        """
        generator = self._repository.find(request.path_params["name"], None).generator
        spec = parse(generator, request.path_params["file"], _query(request))
        return RedirectResponse(canonical_url(generator, spec), 307, _NO_STORE)

    async def sample(self, request: Request) -> Response:
        """Answer `POST /v1/sample` and `POST /sample`.

        Args:
            request: The request.
        """
        return await bulk_samples.sample(self._repository, self._settings, await read_body(request, self._settings))

    def _generators(self) -> list[Generator]:
        """Return the generators that are served; an empty list until the first scan has finished."""
        return [served.generator for served in self._repository.all()] if self._repository.has_loaded else []


def _query(request: Request) -> str:
    query: bytes = request.scope["query_string"]
    return query.decode("latin-1")


def _json(document: BaseModel) -> Response:
    return Response(document.model_dump_json(by_alias=True) + "\n", 200, _NO_CACHE, "application/json")

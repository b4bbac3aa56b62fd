"""Request handlers of the generators, images, samples, documents and metrics."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qs, unquote

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from seedmint.models.card import ImageOutput
from seedmint.models.version import __version__
from seedmint.service.api import bulk_arrays, bulk_latents, bulk_samples
from seedmint.service.api.conditional import conditional_response, if_none_match
from seedmint.service.api.etag import exact_tag
from seedmint.service.api.negotiation import negotiate
from seedmint.service.api.openapi.documents import DocumentWriter
from seedmint.service.api.openapi.operations import Operation
from seedmint.service.api.pages import explorer_page, reference_page
from seedmint.service.api.pinned import PinnedResources, complete
from seedmint.service.api.query import parse_array, parse_latent, parse_model_page, parse_reference
from seedmint.service.api.request_body import JSON, media_type_of, read_body
from seedmint.service.api.schemas import Generators, generator_page, summary
from seedmint.service.api.urls import Spec, canonical_url, query_string
from seedmint.service.batching.model_repository import ModelRepository, Served
from seedmint.service.encoders.images import DEFAULT_QUALITY, image_formats
from seedmint.service.encoders.tabular import sample_formats
from seedmint.service.runtime.generator import Generator
from seedmint.service.server.replies import ReplyResponse
from seedmint.service.settings import Settings
from seedmint.service.specs.latent import LatentSpec
from seedmint.service.telemetry import scrape
from seedmint.service.telemetry.request_context import current_prefix

_NO_CACHE = {"Cache-Control": "no-cache"}
_NO_STORE = {"Cache-Control": "no-store"}

ParseSpec = Callable[[Generator, str, str], Spec]
"""Parses the last part of a path and a query string into a spec."""
ParseAny = Callable[[Generator, str, str], Spec | LatentSpec]


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
        is_public = not self._settings.needs_keys
        return explorer_page(self._generators() if is_public else [], is_public)

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
        document = await self._documents.document(self._generators(), current_prefix())
        return conditional_response(request, document.content, document.tag, _NO_CACHE, "application/json")

    async def metrics(self, _: Request) -> Response:
        """Answer `GET /metrics`.

        Args:
            _: The request.
        """
        self._repository.update_metrics()
        repository = self._repository
        places = [(place.name, place.is_up, place.age) for place in repository.places]
        gauges = scrape.ScrapeGauges(
            self._generators(), repository.load_errors(), repository.readable, repository.recent_versions(), places
        )
        text = await asyncio.to_thread(scrape.exposition, gauges)
        return Response(text, 200, _NO_STORE, scrape.CONTENT_TYPE)

    async def models(self, request: Request) -> Response:
        """Answer `GET /v1/models`.

        Args:
            request: The request.
        """
        limit, after = parse_model_page(_query(request))
        generators = [served.generator for served in self._repository.all() if served.generator.name > after]
        page, rest = generators[:limit], generators[limit:]
        prefix = current_prefix()
        next_url = f"{prefix}/v1/models{query_string(after=page[-1].name, limit=limit)}" if rest else None
        models = tuple(summary(generator, self._repository.versions(generator.name), prefix) for generator in page)
        return _json(Generators(version=__version__, models=models, next_url=next_url))

    async def model(self, request: Request) -> Response:
        """Answer `GET /v1/models/{model}`.

        Args:
            request: The request.
        """
        reference = parse_reference(request.path_params["model"])
        generator = self._repository.find(*reference).generator
        return _json(generator_page(generator, self._repository.versions(generator.name), current_prefix()))

    async def pinned(self, request: Request, parse: ParseSpec) -> Response:
        """Answer GET of a URL with a digest: redirect to the canonical URL, or send the immutable response.

        Args:
            request: The request; its path has the parameters `name`, `digest` and `file`.
            parse: Parser of `file`.
        """
        served = self._find_pinned(request)
        spec = parse(served.generator, request.path_params["file"], _query(request))
        url = canonical_url(served.generator, spec)
        if not _is_canonical(request, url):
            return RedirectResponse(current_prefix() + url, 308, {"Cache-Control": self._resources.cache_control})
        result = self._resources.respond(request.method, if_none_match(request), served, spec, url)
        return ReplyResponse(await complete(result))

    async def latent(self, request: Request) -> Response:
        """Answer GET of the latent vector of a seed at a URL with a digest.

        Args:
            request: The request; its path has the parameters `name`, `digest` and `file`.
        """
        generator = self._find_pinned(request).generator
        spec = parse_latent(generator, request.path_params["file"], _query(request))
        url = canonical_url(generator, spec)
        headers = {"Cache-Control": self._resources.cache_control, "X-Content-Type-Options": "nosniff"}
        if not _is_canonical(request, url):
            return RedirectResponse(current_prefix() + url, 308, {"Cache-Control": self._resources.cache_control})
        content = spec.encode(generator)
        return conditional_response(request, content, exact_tag(spec.encoder, content), headers, spec.media_type)

    async def array(self, request: Request, are_images: bool) -> Response:
        """Answer GET of the array of many seeds at a URL with a digest.

        Args:
            request: The request; its path has the parameters `name` and `digest`.
            are_images: Whether the URL names images.
        """
        served = self._find_pinned(request)
        query, max_seeds = _query(request), self._settings.max_seeds
        spec = await asyncio.to_thread(parse_array, served.generator, query, max_seeds, are_images)
        url, cache_control = canonical_url(served.generator, spec), self._resources.cache_control
        if not _is_canonical(request, url):
            return RedirectResponse(current_prefix() + url, 308, {"Cache-Control": cache_control})
        tags = if_none_match(request)
        return await bulk_arrays.respond(request.method, request.headers, tags, served, spec, url, cache_control)

    async def current_array(self, request: Request, are_images: bool) -> Response:
        """Answer GET of an array at a URL without digest: redirect to the canonical URL of the current version.

        Args:
            request: The request; its path has the parameter `name`.
            are_images: Whether the URL names images.
        """
        generator = self._repository.find(request.path_params["name"], None).generator
        query, max_seeds = _query(request), self._settings.max_seeds
        spec = await asyncio.to_thread(parse_array, generator, query, max_seeds, are_images)
        return RedirectResponse(current_prefix() + canonical_url(generator, spec), 307, _NO_STORE)

    async def negotiated(
        self, request: Request, parse: ParseSpec, media_types: Mapping[str, str], by_range: Callable[[bool], str]
    ) -> Response:
        """Answer GET of a URL without a file extension: redirect to the format that the client prefers.

        Args:
            request: The request; its path has the parameters `name` and `seed`, and may have `digest`.
            parse: Parser of `{seed}.{format}`.
            media_types: Media types of the formats, in the order of preference.
            by_range: Returns the format for a client that names no format. The argument is whether the query has a quality.
        """
        is_pinned = "digest" in request.path_params
        served = self._find_pinned(request) if is_pinned else self._repository.find(request.path_params["name"], None)
        generator, query = served.generator, _query(request)
        output = generator.card.output
        is_lossy = "quality" in parse_qs(query, keep_blank_values=True)
        allowed: tuple[str, ...]
        if isinstance(output, ImageOutput):
            allowed = tuple(form for form in image_formats(output) if form in DEFAULT_QUALITY or not is_lossy)
        else:
            allowed = sample_formats(output)
        formats = {form: text for form, text in media_types.items() if form in allowed}
        default = by_range(is_lossy)
        form = negotiate(request.headers.getlist("accept"), formats, default if default in formats else next(iter(formats)))
        seed = request.scope["path"].rpartition("/")[2]
        url = canonical_url(generator, parse(generator, f"{seed}.{form}", query))
        cache_control = self._resources.cache_control if is_pinned else "no-store"
        return RedirectResponse(current_prefix() + url, 307, {"Cache-Control": cache_control, "Vary": "Accept"})

    async def current(self, request: Request, parse: ParseAny) -> Response:
        """Answer GET of a URL without digest: redirect to the canonical URL of the current version.

        Args:
            request: The request; its path has the parameters `name` and `file`.
            parse: Parser of `file`.
        """
        generator = self._repository.find(request.path_params["name"], None).generator
        spec = parse(generator, request.path_params["file"], _query(request))
        return RedirectResponse(current_prefix() + canonical_url(generator, spec), 307, _NO_STORE)

    async def sample(self, request: Request) -> Response:
        """Answer `POST /v1/sample` and `POST /sample`.

        Args:
            request: The request.
        """
        return await bulk_samples.sample(self._repository, self._settings, await read_body(request, self._settings))

    async def from_latents(self, request: Request) -> Response:
        """Answer `POST /v1/latents`.

        Args:
            request: The request.
        """
        body = await read_body(request, self._settings, (JSON, *bulk_latents.NPY_MEDIA_TYPES))
        return await bulk_latents.from_latents(self._repository, self._settings, media_type_of(request), _query(request), body)

    def _find_pinned(self, request: Request) -> Served:
        name, digest = parse_reference(f"{request.path_params['name']}@{request.path_params['digest']}")
        return self._repository.find(name, digest)

    def _generators(self) -> list[Generator]:
        """Return the generators that are served; an empty list until the first scan has finished."""
        return [served.generator for served in self._repository.all()] if self._repository.has_loaded else []


def _is_canonical(request: Request, url: str) -> bool:
    """Return whether a request has the canonical URL of its resource.

    Percent-encoding is ignored. Otherwise a proxy that encodes some characters would cause an endless redirect.
    """
    path, query = request.scope["path"], _query(request)
    return url == (f"{path}?{unquote(query)}" if query else path)


def _query(request: Request) -> str:
    query: bytes = request.scope["query_string"]
    return query.decode("latin-1")


def _json(document: BaseModel) -> Response:
    return Response(document.model_dump_json(by_alias=True) + "\n", 200, _NO_CACHE, "application/json")

"""The addresses that are read: generators, images, samples, sheets, walks, metrics and the page, as one ASGI application."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from seedmint.service.api import bulk_samples
from seedmint.service.api.batching_problems import answer_batching_error
from seedmint.service.api.composition import cancel_on_disconnect, compose, encode_in_thread
from seedmint.service.api.contact_sheets import SheetAddress, parse_sheet
from seedmint.service.api.etag import entity_tag, immutable, not_modified
from seedmint.service.api.latent_walks import WalkAddress, parse_walk
from seedmint.service.api.openapi.documents import Document, Writer
from seedmint.service.api.openapi.reference import REFERENCE_HEADERS
from seedmint.service.api.quota import charge
from seedmint.service.api.rendering import encoded
from seedmint.service.api.request_body import read_body
from seedmint.service.api.schemas import Generators, described, page_of
from seedmint.service.api.urls import (
    IMAGES,
    SAMPLES,
    Address,
    ImageRequest,
    SampleAddress,
    parse_image,
    parse_reference,
    parse_sample_address,
)
from seedmint.service.batching.errors import BatchingError
from seedmint.service.batching.model_repository import ModelRepository, Served
from seedmint.service.problems import Problem, answer_problem
from seedmint.service.runtime.arrays import Labels, Outputs
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings
from seedmint.service.telemetry import metrics

_PAGE = (Path(__file__).parent / "static" / "page.html").read_text(encoding="utf-8")
_PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
}
_NO_CACHE = {"Cache-Control": "no-cache"}
_NO_STORE = {"Cache-Control": "no-store"}
_LARGE_PIXELS = 1 << 18  # more, and an image is encoded apart from its generator's others

_Asked = ImageRequest | SampleAddress | SheetAddress | WalkAddress
_Parse = Callable[[Generator, str, str], _Asked]


class Routes:
    """Handlers over one library."""

    def __init__(self, library: ModelRepository, settings: Settings, others: Sequence[Route] = ()) -> None:
        """`others` stand beside them."""
        self._library = library
        self._others = others
        self._settings = settings
        self._writer = Writer(settings)
        self._immutable = immutable(private=settings.needs_keys)

    def app(self) -> Starlette:
        routes = [
            Route("/", self.page),
            Route("/docs", self.reference),
            Route("/openapi.json", self.specification),
            Route("/metrics", self.metrics),
            Route("/v1/models", self.models),
            Route("/v1/models/{model}", self.model),
            Route(IMAGES, self.image),
            Route("/v1/models/{name}/images/{file}", self.image_of_now),
            Route(SAMPLES, self.one_sample),
            Route("/v1/models/{name}/samples/{file}", self.one_sample_of_now),
            Route("/v1/models/{name}@{digest}/grid.{file}", self.sheet),
            Route("/v1/models/{name}/grid.{file}", self.sheet_of_now),
            Route("/v1/models/{name}@{digest}/walk.{file}", self.walk),
            Route("/v1/models/{name}/walk.{file}", self.walk_of_now),
            Route("/v1/sample", self.sample, methods=["POST"]),
            Route("/sample", self.sample, methods=["POST"]),  # where BentoML's clients look for it
            *self._others,
        ]
        return Starlette(routes=routes, exception_handlers={Problem: answer_problem, BatchingError: answer_batching_error})

    async def page(self, _: Request) -> Response:
        return Response(_PAGE, 200, _PAGE_HEADERS, "text/html; charset=utf-8")

    async def reference(self, request: Request) -> Response:
        page = (await self._writer.documents(self._generators())).reference
        return _unless_known(request, page, REFERENCE_HEADERS, "text/html; charset=utf-8")

    async def specification(self, request: Request) -> Response:
        document = (await self._writer.documents(self._generators())).specification
        return _unless_known(request, document, _NO_CACHE, "application/json")

    async def metrics(self, _: Request) -> Response:
        self._library.show_queues()
        now = metrics.Now(self._generators(), self._library.refused(), self._library.readable)
        text = await asyncio.to_thread(metrics.exposition, now)
        return Response(text, 200, _NO_STORE, metrics.CONTENT_TYPE)

    async def models(self, _: Request) -> Response:
        return _json(Generators(models=tuple(described(served.generator) for served in self._library.all())))

    async def model(self, request: Request) -> Response:
        return _json(page_of(self._library.find(*parse_reference(request.path_params["model"])).generator))

    async def image(self, request: Request) -> Response:
        return await self._pinned(request, parse_image)

    async def image_of_now(self, request: Request) -> Response:
        return self._redirected(request, parse_image)

    async def one_sample(self, request: Request) -> Response:
        return await self._pinned(request, parse_sample_address)

    async def one_sample_of_now(self, request: Request) -> Response:
        return self._redirected(request, parse_sample_address)

    async def sheet(self, request: Request) -> Response:
        return await self._pinned(request, parse_sheet)

    async def sheet_of_now(self, request: Request) -> Response:
        return self._redirected(request, parse_sheet)

    async def walk(self, request: Request) -> Response:
        return await self._pinned(request, parse_walk)

    async def walk_of_now(self, request: Request) -> Response:
        return self._redirected(request, parse_walk)

    async def sample(self, request: Request) -> Response:
        return await bulk_samples.sample(self._library, self._settings, await read_body(request, self._settings))

    def _generators(self) -> list[Generator]:
        """Those served now; none while they are being loaded."""
        return [served.generator for served in self._library.all()] if self._library.ready else []

    async def _pinned(self, request: Request, parse: _Parse) -> Response:
        """What an address that never changes names; another spelling of it redirects there, for ever."""
        name, digest = parse_reference(f"{request.path_params['name']}@{request.path_params['digest']}")
        served = self._library.find(name, digest)
        query = _query(request)
        asked = parse(served.generator, request.path_params["file"], query)
        spelled = request.scope["raw_path"].decode("latin-1")
        # Without query and escapes nothing can be spelled otherwise: most requests are spared the comparison.
        if (query or "%" in spelled) and (path := asked.path(served.generator)) != (f"{spelled}?{query}" if query else spelled):
            return RedirectResponse(path, 308, {"Cache-Control": self._immutable})
        tag = entity_tag(served.generator, asked)
        headers = {
            "ETag": tag,
            "Cache-Control": self._immutable,
            "Accept-Ranges": "none",
            "X-Content-Type-Options": "nosniff",
        }
        if _knows(request, tag):
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            response = Response(None, 200, headers, asked.media_type)
            del response.headers["content-length"]  # not known without making it
            return response
        if isinstance(asked, SheetAddress | WalkAddress):
            content = await self._compose(request, served, asked)
        else:
            with charge(1):
                content = await self._make(request, served, asked)
            metrics.count_made(served.generator, asked.format, 1)
        return Response(content, 200, headers, asked.media_type)

    def _redirected(self, request: Request, parse: _Parse) -> Response:
        """To the address that never changes, of the generator as it is now. What is wrong with it is told here."""
        generator = self._library.find(request.path_params["name"], None).generator
        asked: Address = parse(generator, request.path_params["file"], _query(request))
        return RedirectResponse(asked.path(generator), 307, _NO_STORE)

    async def _compose(self, request: Request, served: Served, asked: SheetAddress | WalkAddress) -> bytes:
        """Make a picture of many images, unless the client goes or the deadline comes first.

        Raises:
            Problem: 413, 429, 503 or 504.
            ClientDisconnect: the client has gone.
        """
        generator = served.generator
        with charge(asked.count, "frames" if isinstance(asked, WalkAddress) else "seeds"):
            work = compose(
                served,
                partial(asked.parts, generator),
                asked.truncation,
                partial(asked.finish, generator),
                self._settings.timeout_seconds,
            )
            content = await cancel_on_disconnect(request, work)
        metrics.count_made(generator, asked.format, asked.count)
        return content

    async def _make(self, request: Request, served: Served, asked: ImageRequest | SampleAddress) -> bytes:
        """Make one image or sample, unless the client goes or the deadline comes first.

        Raises:
            Problem: 429, 503 or 504.
            ClientDisconnect: the client has gone.
        """
        batcher, encode = served.batcher, partial(encoded, served.generator, asked)
        if isinstance(asked, ImageRequest) and _is_large(served.generator, asked):
            return await cancel_on_disconnect(
                request, self._large(batcher.single(asked.seed, asked.label, asked.truncation, _both), encode)
            )
        return await cancel_on_disconnect(request, batcher.single(asked.seed, asked.label, asked.truncation, encode))

    async def _large(self, making: asyncio.Future[Any], encode: Callable[[Outputs, Labels | None], bytes]) -> bytes:
        """
        Raises:
            Problem: 504.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                return await encode_in_thread(partial(encode, *await making))
        except TimeoutError:
            raise Problem(504, f"it was not ready within {self._settings.timeout_seconds:g} seconds") from None


def _both(made: Outputs, labels: Labels | None) -> tuple[Outputs, Labels | None]:
    return made, labels


def _is_large(generator: Generator, asked: ImageRequest) -> bool:
    """Whether to encode it takes longer than others should wait for."""
    height, width, _ = generator.card.output.shape
    return bool(height * width * asked.scale**2 > _LARGE_PIXELS)


def _query(request: Request) -> str:
    query: bytes = request.scope["query_string"]
    return query.decode("latin-1")


def _knows(request: Request, tag: str) -> bool:
    """Whether the client has what it asks for."""
    return not_modified(", ".join(request.headers.getlist("if-none-match")), tag)


def _unless_known(request: Request, document: Document, headers: dict[str, str], media_type: str) -> Response:
    headers = headers | {"ETag": document.tag}
    if _knows(request, document.tag):
        return Response(status_code=304, headers=headers)
    return Response(document.content, 200, headers, media_type)


def _json(document: BaseModel) -> Response:
    return Response(document.model_dump_json(by_alias=True) + "\n", 200, _NO_CACHE, "application/json")

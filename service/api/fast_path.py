"""The plain addresses of single images and samples, without a query. Most requests are for these, and they are answered first.

An ASGI layer around BentoML's application and its router, which take several times as long as all the rest of such a request.
"""

import re
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from seedmint.models.card import ImageOutput
from seedmint.models.seeds import SEED_LIMIT
from seedmint.service.api.batching_problems import problem_of
from seedmint.service.api.etag import entity_tag, immutable, not_modified
from seedmint.service.api.quota import charge
from seedmint.service.api.rendering import encoded
from seedmint.service.api.urls import IMAGES, SAMPLES, ImageRequest, SampleAddress
from seedmint.service.batching.errors import BatchingError
from seedmint.service.batching.model_repository import ModelRepository, Served
from seedmint.service.encoders.images import FORMATS, Format
from seedmint.service.encoders.tabular import SAMPLE_FORMATS, SampleFormat
from seedmint.service.problems import Problem
from seedmint.service.settings import Settings
from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

_IMAGE_FORMATS: dict[str, Format] = {form: form for form in FORMATS}
_SAMPLE_FORMATS: dict[str, SampleFormat] = {form: form for form in SAMPLE_FORMATS}
_PLAIN = re.compile(r"/v1/models/([^/@]+)@([0-9a-f]+)/(images|samples)/(0|[1-9][0-9]{0,18})\.([a-z]+)", re.ASCII)


class _Route:
    """As the edge knows a route, to count its requests by."""

    def __init__(self, path: str) -> None:
        self.path = path


_ROUTES = {"images": _Route(IMAGES), "samples": _Route(SAMPLES)}


class FastPath:
    """Answers what it knows to be right, and leaves everything else, each error too, to the routes."""

    def __init__(self, app: ASGIApp, library: ModelRepository, settings: Settings) -> None:
        self._app = app
        self._library = library
        self._headers = [
            (b"cache-control", immutable(private=settings.needs_keys).encode()),
            (b"accept-ranges", b"none"),
            (b"x-content-type-options", b"nosniff"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and not scope["query_string"]:
            match = _PLAIN.fullmatch(scope["path"])
            if match is not None and b"%" not in scope["raw_path"]:
                name, digest, collection, seed, form = match.groups()
                served = self._library.exactly(name, digest)
                if served is not None and (asked := _asked(served, collection, int(seed), form)) is not None:
                    scope["route"] = _ROUTES[collection]
                    try:
                        await self._answer(served, asked, scope, receive, send)
                    except BatchingError as error:
                        await problem_of(error).response()(scope, receive, send)
                    except Problem as problem:  # answered here and not by the edge, so that CORS headers go with it
                        await problem.response()(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _answer(
        self, served: Served, asked: ImageRequest | SampleAddress, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """
        Raises:
            Problem: 429, 500, 503 or 504.
            ClientDisconnect: the client has left.
        """
        tag = entity_tag(served.generator, asked, scope["path"])
        headers = [(b"etag", tag.encode()), *self._headers]
        copies = [value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"]
        if copies and not_modified(", ".join(copies), tag):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body"})
            return
        headers.append((b"content-type", asked.media_type.encode()))
        if scope["method"] == "HEAD":  # without a length, which is not known without making it
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body"})
            return
        finish = partial(encoded, served.generator, asked)
        with charge(1):
            content = await served.batcher.single(asked.seed, None, 1.0, finish, REQUEST_CONTEXT.get().gone)
        metrics.count_made(served.generator, asked.format, 1)
        headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _asked(served: Served, collection: str, seed: int, form: str) -> ImageRequest | SampleAddress | None:
    """What an address names, or None: then the routes say why there is no such thing."""
    if seed >= SEED_LIMIT:
        return None
    if isinstance(served.generator.card.output, ImageOutput):
        of_image = _IMAGE_FORMATS.get(form) if collection == "images" else None
        return None if of_image is None else ImageRequest(seed, None, 1.0, 1, of_image)
    of_sample = _SAMPLE_FORMATS.get(form) if collection == "samples" else None
    return None if of_sample is None else SampleAddress(seed, None, 1.0, of_sample)

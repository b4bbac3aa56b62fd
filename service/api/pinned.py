"""Immutable resources: turns a request into a finished reply, or into a reply whose body is generated. Independent of ASGI.

The router and the fast path both answer through this module. A protocol class can use it directly:

    match = resources.match("GET", b"/v1/models/mnist@0123456789ab/images/42.png", b"", headers)
    if match is None: the router answers
    if isinstance(match.result, Reply): send the reply
    otherwise: context = RequestContext(request_id, address, is_disconnected)
               future = match.result.submit(context)
               when the future is done: send(match.result.finish(future.result(), context))
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from seedmint.models.card import ImageOutput
from seedmint.models.errors import UserError
from seedmint.models.seeds import SEED_LIMIT
from seedmint.service.api.encoding_threads import EncodingThreads
from seedmint.service.api.etag import entity_tag, immutable, is_current
from seedmint.service.api.generation import Generated, encode_tiny, generate_picture, submit_image
from seedmint.service.api.query import parse_image, parse_sample
from seedmint.service.api.quota import charge_future
from seedmint.service.api.urls import IMAGES, SAMPLES, Spec, canonical_url
from seedmint.service.batching.model_repository import ModelRepository, Served
from seedmint.service.encoders.images import DEFAULT_QUALITY, FORMATS, ImageFormat, image_formats
from seedmint.service.encoders.tabular import SAMPLE_FORMATS, SampleFormat, sample_formats
from seedmint.service.runtime.generator import Generator
from seedmint.service.server.replies import Reply, SharedHeaders
from seedmint.service.settings import Settings
from seedmint.service.specs.single import ImageSpec, SampleSpec
from seedmint.service.specs.walk import WalkSpec
from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, GeneratorId, RequestContext

_SINGLE = re.compile(r"/v1/models/([^/@%?#]+)@([0-9a-f]+)/(images|samples)/((0|[1-9][0-9]{0,18})\.([a-z]+))", re.ASCII)
_SHORT_BYTES = 64 << 10
_MAX_CHARACTERS = 32  # of one value of a sample as text
_TEMPLATES = {"images": IMAGES, "samples": SAMPLES}
_IMAGE_FORMATS: dict[str, ImageFormat] = {form: form for form in FORMATS}
_SAMPLE_FORMATS: dict[str, SampleFormat] = {form: form for form in SAMPLE_FORMATS}


@dataclass(slots=True, eq=False)  # not frozen: faster to create
class PendingReply:
    """A reply whose body has to be generated.

    Attributes:
        served: The generator and its batcher.
        spec: Spec of the body.
        tag: ETag of the reply.
        headers: Headers of all replies of this media type.
        timeout: Seconds until the generation ends with `DeadlineExceeded`.
        threads: Encode large images and pictures.
    """

    served: Served
    spec: Spec
    tag: bytes
    headers: SharedHeaders
    timeout: float
    threads: EncodingThreads

    @property
    def count(self) -> int:
        """Number of images or samples in the body."""
        return 1 if isinstance(self.spec, ImageSpec | SampleSpec) else self.spec.count

    def submit(self, context: RequestContext) -> asyncio.Future[Generated]:
        """Charge the quota of the client, and start to generate the body.

        Args:
            context: The client, its quota, and the check whether it has disconnected. The body for a client that has
                disconnected is not generated.

        Returns:
            A future for `finish`. Cancelling the future stops the generation. The future fails with a `BatchingError` if the
            deadline has passed, the client has disconnected, or the server is shutting down; the quota is then refunded.

        Raises:
            BatchingError: The queue is full, or the server is shutting down.
            Problem: The quota of the client is exceeded.
        """
        if context.quota is None:
            return self._start(context)
        field = "frames" if isinstance(self.spec, WalkSpec) else "seeds"
        return charge_future(context.quota, self.count, field, partial(self._start, context))

    def _start(self, context: RequestContext) -> asyncio.Future[Generated]:
        spec = self.spec
        if isinstance(spec, ImageSpec | SampleSpec):
            return submit_image(self.served, spec, self.timeout, self.threads, context.is_disconnected)
        return asyncio.ensure_future(
            generate_picture(self.served, spec, self.timeout, self.threads, context.client, context.is_disconnected)
        )

    def finish(self, generated: Generated, context: RequestContext) -> Reply:
        """Count the images or samples, and return the finished reply.

        Args:
            generated: The result of the future.
            context: The argument of `submit`.
        """
        generator, spec = self.served.generator, self.spec
        if isinstance(generated, bytes):
            body = generated
        else:
            assert isinstance(spec, ImageSpec)
            body = encode_tiny(generator, spec, generated)
        metrics.count_outputs(generator, spec.format, self.count, context)
        return Reply(200, [(b"etag", self.tag), (b"content-length", b"%d" % len(body))], body, self.headers)


@dataclass(slots=True, eq=False)
class Match:
    """A request for the canonical URL of one image or sample.

    Attributes:
        template: Route template, for the metrics.
        result: The finished reply, or a reply whose body has to be generated.
        is_short: Whether the body has at most about 64 KiB.
        generator: Name and digest of the generator.
    """

    template: str
    result: Reply | PendingReply
    is_short: bool
    generator: GeneratorId


class PinnedResources:
    """Answers GET and HEAD of immutable resources. Lives on one event loop.

    Attributes:
        cache_control: Cache-Control of an immutable response.
    """

    def __init__(self, repository: ModelRepository, settings: Settings) -> None:
        """
        Args:
            repository: The generators.
            settings: The settings of the service.
        """
        self._repository = repository
        self._threads = EncodingThreads()
        self._timeout = settings.timeout_seconds
        self.cache_control = immutable(private=settings.needs_keys)
        self._not_modified = self._shared_headers()
        self._headers: dict[str, SharedHeaders] = {}  # by media type

    def match(self, method: str, raw_path: bytes, query: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Match | None:
        """Answer a request for the canonical URL of one image or sample.

        Args:
            method: HTTP method.
            raw_path: Path of the URL, not decoded.
            query: Query string, without "?".
            headers: Request headers; names in lower case.

        Returns:
            The match. None for all other requests, including invalid requests: the router answers them.
        """
        if method not in ("GET", "HEAD"):
            return None
        url = raw_path.decode("latin-1")
        parts = _SINGLE.fullmatch(url)
        if parts is None:
            return None
        name, digest, collection, file, seed, extension = parts.groups()
        served = self._repository.find_pinned(name, digest)
        if served is None:
            return None
        if query:
            url = f"{url}?{query.decode('latin-1')}"
            spec = _spec_with_parameters(served.generator, collection, file, url)
        else:
            spec = _plain_spec(served.generator, collection, int(seed), extension)
        if spec is None:
            return None
        if_none_match = [value for name, value in headers if name == b"if-none-match"]
        result = self.respond(method, if_none_match, served, spec, url)
        return Match(_TEMPLATES[collection], result, _is_short(served.generator, spec), served.generator.id)

    def respond(
        self, method: str, if_none_match: Sequence[bytes], served: Served, spec: Spec, url: str
    ) -> Reply | PendingReply:
        """Answer a conditional GET or HEAD.

        Args:
            method: "GET" or "HEAD".
            if_none_match: The values of all If-None-Match headers.
            served: The generator.
            spec: Spec of the resource.
            url: Canonical URL of the spec.

        Returns:
            304 if the copy of the client is current; 200 without a body for HEAD; otherwise a pending reply.
        """
        tag = entity_tag(served.generator, spec, url)
        raw_tag = tag.encode()
        if is_current(if_none_match, tag):
            return Reply(304, [(b"etag", raw_tag)], shared=self._not_modified)
        media_type = spec.media_type
        headers = self._headers.get(media_type)
        if headers is None:
            headers = self._headers[media_type] = self._shared_headers((b"content-type", media_type.encode()))
        if method == "HEAD":  # without Content-Length: the length is unknown until the body is generated
            return Reply(200, [(b"etag", raw_tag)], shared=headers)
        return PendingReply(served, spec, raw_tag, headers, self._timeout, self._threads)

    def _shared_headers(self, *more: tuple[bytes, bytes]) -> SharedHeaders:
        constant = [
            (b"cache-control", self.cache_control.encode()),
            (b"accept-ranges", b"none"),
            (b"x-content-type-options", b"nosniff"),
        ]
        return SharedHeaders([*constant, *more])

    def close(self) -> None:
        """End the threads that encode large images and pictures. Call it after the last request."""
        self._threads.close()


async def complete(result: Reply | PendingReply) -> Reply:
    """Return the finished reply of the current request; generate its body if necessary.

    Args:
        result: A result of `PinnedResources`.

    Raises:
        BatchingError: The queue is full, the deadline has passed, the client has disconnected, or the server is shutting down.
        Problem: The quota of the client is exceeded.
    """
    if isinstance(result, Reply):
        return result
    context = REQUEST_CONTEXT.get()
    return result.finish(await result.submit(context), context)


def _plain_spec(generator: Generator, collection: str, seed: int, extension: str) -> ImageSpec | SampleSpec | None:
    """Return the spec of a URL without parameters; None if the URL is invalid."""
    if seed >= SEED_LIMIT:
        return None
    output = generator.card.output
    if isinstance(output, ImageOutput):
        image_format = _IMAGE_FORMATS.get(extension) if collection == "images" else None
        if image_format is None or image_format not in image_formats(output):
            return None
        return ImageSpec(seed, None, 1.0, 1, image_format, DEFAULT_QUALITY.get(image_format))
    sample_format = _SAMPLE_FORMATS.get(extension) if collection == "samples" else None
    if sample_format is None or sample_format not in sample_formats(output):
        return None
    return SampleSpec(seed, None, 1.0, sample_format)


def _spec_with_parameters(generator: Generator, collection: str, file: str, url: str) -> ImageSpec | SampleSpec | None:
    """Return the spec of a URL with parameters; None if the URL is invalid or not canonical."""
    parse = parse_image if collection == "images" else parse_sample
    try:
        spec = parse(generator, file, url.partition("?")[2])
    except UserError:
        return None
    return spec if canonical_url(generator, spec) == url else None


def _is_short(generator: Generator, spec: ImageSpec | SampleSpec) -> bool:
    """Return whether the body of a spec has at most about 64 KiB. A plot is short: its size does not depend on the sample."""
    values = generator.output_values
    return values * (spec.scale**2 if isinstance(spec, ImageSpec) else _MAX_CHARACTERS) <= _SHORT_BYTES

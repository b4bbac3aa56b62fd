"""Many images or samples in one response: the body of `POST /sample`, and the streamed response."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from functools import partial
from itertools import islice
from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from seedmint.models.errors import UserError
from seedmint.models.seeds import SEED_LIMIT, SEEDS_PATTERN, Seeds, parse_seeds, seeds_from_list
from seedmint.service.api.query import parse_reference
from seedmint.service.api.quota import charge
from seedmint.service.api.request_body import parse_body
from seedmint.service.batching.errors import ClientGone
from seedmint.service.batching.model_repository import ModelRepository, Served
from seedmint.service.encoders.animation import ANIMATION_MEDIA_TYPES, AnimationFormat
from seedmint.service.encoders.archives import (
    ARCHIVE_MEDIA_TYPES,
    ArchiveFormat,
    ArchiveWriter,
    archive_formats,
    archive_writer,
)
from seedmint.service.encoders.array_files import NpyWriter
from seedmint.service.problems import Problem
from seedmint.service.runtime.arrays import Labels, Outputs, Piece
from seedmint.service.runtime.generator import MIN_TRUNCATION, Generator
from seedmint.service.runtime.pieces import check_distinct, pieces
from seedmint.service.settings import Settings
from seedmint.service.specs.errors import SpecError
from seedmint.service.specs.pictures import PicturePiece
from seedmint.service.specs.values import require_label, require_truncation
from seedmint.service.telemetry import metrics, tracing
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

# The schema shows bounds that pydantic does not check: later checks answer with other statuses.
_Seed = Annotated[StrictInt, Field(json_schema_extra={"format": "int64", "minimum": 0, "maximum": SEED_LIMIT - 1})]
SeedText = Annotated[StrictStr, Field(json_schema_extra={"pattern": SEEDS_PATTERN})]
Label = Annotated[StrictInt, Field(json_schema_extra={"minimum": 0})]
TRUNCATION_BOUNDS = {"minimum": MIN_TRUNCATION, "maximum": 1}

_PIECES_IN_FLIGHT = 2  # while one piece is encoded and sent, the generator computes the next
_SMALL_BODY = 4 << 10  # bytes; parsed faster than a thread starts
_SMALL_PIECE = 1 << 20  # bytes; copied faster than a thread starts

_Result = TypeVar("_Result")

# fail_fast: a body may hold a million invalid items.
SeedList = Annotated[list[_Seed], Field(fail_fast=True, json_schema_extra={"minItems": 1})]
LabelList = Annotated[list[Label], Field(fail_fast=True, json_schema_extra={"minItems": 1})]


class SampleRequest(BaseModel):
    """Seeds, and the form of the response."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: StrictStr = Field(description="Name of a generator, or name@digest12 for one version.")
    seeds: SeedText | SeedList = Field(description='Seeds as text, "0-63,100" (ranges are inclusive), or as a list.')
    labels: Label | LabelList | None = Field(
        default=None,
        description="One label for all seeds, or a list of one label for each seed; null: the labels that the seeds determine.",
    )
    truncation: Annotated[StrictFloat | StrictInt, Field(description="Factor on z.", json_schema_extra=TRUNCATION_BOUNDS)] = 1.0
    format: ArchiveFormat = Field(
        default="zip",
        description="Images: zip of PNGs, npz (images, seeds, labels), or npy (images). Samples: npz, npy, csv, or jsonl. "
        "Strings: also txt.",
    )


async def sample(repository: ModelRepository, settings: Settings, body: bytes) -> Response:
    """Generate the images or samples of a request as a stream.

    The response starts after the first piece is encoded, so that an error of the first piece has its own status.

    Args:
        repository: The generators.
        settings: The settings of the service.
        body: JSON body of the request.

    Raises:
        Problem: The body is invalid, or the quota of the client is exceeded.
        UserError: A value is invalid; `field` names the value.
        BatchingError: Too many bulk requests are in flight, or the deadline has passed.
        ClientDisconnect: The client has disconnected.
    """
    is_small = len(body) <= _SMALL_BODY
    request = await _run_in_thread(not is_small, lambda: parse_body(SampleRequest, body))
    served = repository.find(*parse_reference(request.model))
    generator = served.generator
    truncation = require_truncation(generator, request.truncation)
    seeds, labels = await _run_in_thread(not is_small, lambda: _seeds_and_labels(generator, request, settings.max_seeds))
    writer = archive_writer(request.format, generator, seeds.count, truncation)
    parts = ((*piece, None) for piece in pieces(generator, seeds, labels))
    chunks = stream(served, parts, writer, truncation, request.format)
    return await send_archive(generator, chunks, writer, request.format, seeds.count, "seeds")


async def send_archive(
    generator: Generator,
    chunks: AsyncGenerator[bytes],
    writer: ArchiveWriter,
    form: ArchiveFormat | AnimationFormat,
    count: int,
    field: str,
) -> Response:
    """Return the response with an archive or an animation, after its first piece is encoded.

    Args:
        generator: The generator of the outputs.
        chunks: The bytes of the archive, of `stream`.
        writer: The writer of the archive.
        form: Format of the archive.
        count: Number of outputs, which the client is charged for.
        field: The part of the request that determines the number.

    Raises:
        Problem: The quota of the client is exceeded.
        BatchingError: Too many bulk requests are in flight, or the deadline has passed.
        ClientDisconnect: The client has disconnected.
    """
    name = f"{generator.name}-{generator.digest12}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    if isinstance(writer, NpyWriter):
        headers["Content-Length"] = str(writer.size)
    media_type = ANIMATION_MEDIA_TYPES[form] if form == "webp" or form == "gif" else ARCHIVE_MEDIA_TYPES[form]
    with charge(count, field):
        return await start_stream(chunks, headers, media_type)


async def start_stream(chunks: AsyncGenerator[bytes], headers: dict[str, str], media_type: str, status: int = 200) -> Response:
    """Return a streaming response after its first chunk is generated, so that an error of that chunk has its own status.

    Args:
        chunks: The body, at least one chunk.
        headers: Response headers, besides Content-Type.
        media_type: Content-Type.
        status: HTTP status.

    Raises:
        BatchingError: Too many bulk requests are in flight, or the deadline has passed.
        ClientDisconnect: The client has disconnected.
    """
    return _StartedStream(await anext(chunks), chunks, headers, media_type, status)


class _StartedStream(StreamingResponse):
    """A streaming response that closes its generator even if the response is never sent, to release the bulk slot."""

    def __init__(
        self, first: bytes, rest: AsyncGenerator[bytes], headers: dict[str, str], media_type: str, status: int
    ) -> None:
        super().__init__(_chain(first, rest), status, headers, media_type)
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._rest.aclose()


async def stream(
    served: Served,
    parts: Iterator[PicturePiece],
    writer: ArchiveWriter,
    truncation: float,
    form: ArchiveFormat | AnimationFormat,
) -> AsyncGenerator[bytes]:
    """Generate an archive piece by piece. The generator computes the next pieces while one piece is encoded and sent.

    Args:
        served: The generator and its batcher.
        parts: Seeds, labels and latent vectors (None for the noise of the seeds), in pieces of at most one batch.
        writer: Encodes the pieces.
        truncation: Factor on z.
        form: Format of the archive, for the metrics.

    Yields:
        The bytes of the archive.
    """
    batcher, context = served.batcher, REQUEST_CONTEXT.get()
    is_copy = isinstance(writer, NpyWriter)  # the outputs are sent as they are
    submitted = (
        ((seeds, labels), batcher.submit_piece(seeds, labels, truncation, z, context.is_disconnected))
        for seeds, labels, z in parts
    )
    with batcher.acquire_slot(context.client) as slot:
        in_flight: deque[tuple[Piece, asyncio.Future[Outputs]]] = deque()
        try:
            in_flight.extend(islice(submitted, _PIECES_IN_FLIGHT))
            while in_flight:
                piece, future = in_flight[0]
                outputs = await future
                in_flight.popleft()
                in_flight.extend(islice(submitted, 1))
                if is_copy and outputs.nbytes <= _SMALL_PIECE:
                    content = writer.add(*piece, outputs)
                else:
                    content = await asyncio.to_thread(_encode, served, writer, piece, outputs)
                with slot.sending():
                    yield content
                metrics.count_outputs(served.generator, form, len(outputs), context)
        except ClientGone:  # the response may have started: an exception handler cannot answer then
            raise ClientDisconnect from None
        finally:
            for _, future in in_flight:
                future.cancel()
    tail = writer.finish()
    while (chunk := await _run_in_thread(not is_copy, partial(next, tail, None))) is not None:
        yield chunk


async def _run_in_thread(is_slow: bool, work: Callable[[], _Result]) -> _Result:
    """Call `work`, in a thread if the call is slow."""
    return await asyncio.to_thread(work) if is_slow else work()


def _encode(served: Served, writer: ArchiveWriter, piece: Piece, outputs: Outputs) -> bytes:
    started = time.perf_counter()
    with metrics.time_encoding(served.generator.id):
        content = writer.add(*piece, outputs)
    tracing.record(tracing.current(), "encode", started, time.perf_counter(), generator=served.generator.name)
    return content


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        if part:
            yield part


def read_seeds(seeds: str | list[int], max_seeds: int, field: str = "seeds") -> Seeds:
    """Return the seeds of a request body. A long list takes time, so do not call this function on the event loop.

    Args:
        seeds: Text such as "0-63,100", or a list.
        max_seeds: Largest number of seeds.
        field: The field of the body, for the error.

    Raises:
        Problem: 400, 413 or 422, for `field`.
    """
    try:
        return parse_seeds(seeds, max_seeds) if isinstance(seeds, str) else seeds_from_list(seeds, max_seeds)
    except UserError as error:
        error.field = field
        raise Problem.from_error(error, field) from None


def _seeds_and_labels(generator: Generator, request: SampleRequest, max_seeds: int) -> tuple[Seeds, int | Labels | None]:
    """Check the values of a request against a generator.

    Raises:
        Problem: A value is invalid; `field` names the value.
        SpecError: A label is invalid.
    """
    require_archive_format(generator, request.format)
    seeds = read_seeds(request.seeds, max_seeds)
    labels = check_labels(generator, seeds.count, request.labels, "seeds")
    if request.format == "zip":
        try:
            check_distinct(seeds, labels)
        except UserError as error:
            raise Problem.from_error(error, "seeds") from None
    return seeds, labels


def require_archive_format(generator: Generator, form: ArchiveFormat) -> None:
    """Check that a format can hold the outputs of a generator.

    Args:
        generator: The generator.
        form: The format.

    Raises:
        Problem: 422, for `format`.
    """
    formats = archive_formats(generator.card.output)
    if form not in formats:
        detail = f"{form} cannot hold {generator.card.output.kind}s: use {', '.join(formats)}"
        raise Problem(422, detail, "format", reason="wrong_output")


def check_labels(generator: Generator, count: int, labels: int | list[int] | None, noun: str) -> int | Labels | None:
    """Check the labels of a bulk request.

    Args:
        generator: The generator.
        count: Number of outputs.
        labels: One label for all outputs, one label for each output, or None.
        noun: What the labels belong to, in plural, for the error.

    Raises:
        SpecError: A label is invalid, or the number of labels is wrong.
    """
    if labels is None:
        return None
    if isinstance(labels, int):
        return require_label(generator, labels, "labels")
    if not labels or len(labels) != count:
        message = f"{len(labels)} labels for {count} {noun}: give one label for each, or one for all of them"
        raise SpecError(message, field="labels", reason="wrong_length")
    for label in (min(labels), max(labels)):
        require_label(generator, label, "labels")
    return np.array(labels, np.int64)

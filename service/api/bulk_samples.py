"""Many images or samples in one answer: the body of `POST /sample`, and the stream that answers it."""

import asyncio
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
from seedmint.service.api.quota import charge
from seedmint.service.api.request_body import parse_body
from seedmint.service.api.urls import check_label, parse_reference, truncation_in_range
from seedmint.service.batching.errors import ClientGone
from seedmint.service.batching.model_repository import ModelRepository, Served
from seedmint.service.encoders.archives import (
    ARCHIVE_MEDIA_TYPES,
    ArchiveFormat,
    ArchiveWriter,
    NpyWriter,
    archive_formats,
    archive_writer,
)
from seedmint.service.problems import Problem
from seedmint.service.runtime.arrays import Labels, Outputs, Piece
from seedmint.service.runtime.generator import MIN_TRUNCATION, Generator
from seedmint.service.runtime.pieces import check_distinct, pieces
from seedmint.service.settings import Settings
from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

# Bounds that are refused later, by the hall or the generator and with other statuses, are told to readers of the schema alone.
_Seed = Annotated[StrictInt, Field(json_schema_extra={"minimum": 0, "maximum": SEED_LIMIT - 1})]
SeedText = Annotated[StrictStr, Field(json_schema_extra={"pattern": SEEDS_PATTERN})]
Label = Annotated[StrictInt, Field(json_schema_extra={"minimum": 0})]
TRUNCATION_BOUNDS = {"minimum": MIN_TRUNCATION, "maximum": 1}

_AHEAD = 2  # pieces asked for at a time: when the generator has made one, the next already waits for it
_SMALL_BODY = 4 << 10  # bytes, of few seeds: read sooner than a thread begins
_SMALL_PIECE = 1 << 20  # bytes, copied sooner than a thread begins

_Done = TypeVar("_Done")

# Stops at the first item that is none: a body may hold a million of them.
SeedList = Annotated[list[_Seed], Field(fail_fast=True, json_schema_extra={"minItems": 1})]
LabelList = Annotated[list[Label], Field(fail_fast=True, json_schema_extra={"minItems": 1})]


class SampleRequest(BaseModel):
    """Seeds and what to make of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: StrictStr = Field(description="Name of a generator, or name@digest12 to insist on a version.")
    seeds: SeedText | SeedList = Field(description='Seeds as text, "0-63,100" (ranges are inclusive), or as a list.')
    labels: Label | LabelList | None = Field(
        default=None, description="One label for all, or one for each seed; null: the labels that the seeds name."
    )
    truncation: Annotated[StrictFloat | StrictInt, Field(description="Factor on z.", json_schema_extra=TRUNCATION_BOUNDS)] = 1.0
    format: ArchiveFormat = Field(
        default="zip",
        description="Images: zip of PNGs, npz (images, seeds, labels), or npy (images). Samples: npz, npy, csv, or jsonl.",
    )


async def sample(library: ModelRepository, settings: Settings, body: bytes) -> Response:
    """Make the images or samples that a body asks for, as a stream.

    The first piece is made before the answer begins, so that its failure shows.

    Raises:
        Problem: whatever is wrong with the request; 429 when too many such requests are under way; 504 after the deadline.
        ClientDisconnect: the client has gone.
    """
    small = len(body) <= _SMALL_BODY
    asked = await _in_thread_unless(small, lambda: parse_body(SampleRequest, body))
    served = library.find(*parse_reference(asked.model))
    generator = served.generator
    truncation = truncation_in_range(asked.truncation)
    seeds, labels = await _in_thread_unless(small, lambda: _seeds_and_labels(generator, asked, settings.max_seeds))
    writer = archive_writer(asked.format, generator, seeds.count, truncation)
    parts = pieces(generator, seeds, labels)
    sent = stream(served, parts, writer, truncation, asked.format)
    with charge(seeds.count):
        first = await anext(sent)
    name = f"{generator.name}-{generator.digest12}.{asked.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    if isinstance(writer, NpyWriter):
        headers["Content-Length"] = str(writer.size)
    return _Streamed(first, sent, headers=headers, media_type=ARCHIVE_MEDIA_TYPES[asked.format])


class _Streamed(StreamingResponse):
    """A stream that has begun, and that is closed with the answer, sent or not: its place among bulk requests comes back."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes], headers: dict[str, str], media_type: str) -> None:
        super().__init__(_joined(first, rest), headers=headers, media_type=media_type)
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._rest.aclose()


async def stream(
    served: Served, parts: Iterator[Piece], writer: ArchiveWriter, truncation: float, form: ArchiveFormat
) -> AsyncGenerator[bytes]:
    """The archive, piece by piece. The generator makes the next pieces while one is encoded and sent."""
    batcher, visit = served.batcher, REQUEST_CONTEXT.get()
    plain = isinstance(writer, NpyWriter)  # what is made goes out as it is
    asked = ((part, batcher.piece(*part, truncation, gone=visit.gone)) for part in parts)
    with batcher.bulk(visit.client) as place:
        making: deque[tuple[Piece, asyncio.Future[Outputs]]] = deque()
        try:
            making.extend(islice(asked, _AHEAD))
            while making:
                done, future = making[0]
                made = await future
                making.popleft()
                making.extend(islice(asked, 1))
                if plain and made.nbytes <= _SMALL_PIECE:
                    content = writer.add(*done, made)
                else:
                    content = await asyncio.to_thread(_encoded, served, writer, done, made)
                with place.sending():
                    yield content
                metrics.count_made(served.generator, form, len(made))
        except ClientGone:  # the answer may have begun: no exception handler may answer then
            raise ClientDisconnect from None
        finally:
            for _, future in making:
                future.cancel()
    tail = writer.finish()
    while (piece := await _in_thread_unless(plain, partial(next, tail, None))) is not None:
        yield piece


async def _in_thread_unless(quick: bool, work: Callable[[], _Done]) -> _Done:
    """Do what may take long off the event loop."""
    return work() if quick else await asyncio.to_thread(work)


def _encoded(served: Served, writer: ArchiveWriter, piece: Piece, made: Outputs) -> bytes:
    """In a thread: one piece as the bytes to send."""
    with metrics.encoding_time(served.generator.name):
        return writer.add(*piece, made)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        if part:
            yield part


def _seeds_and_labels(generator: Generator, asked: SampleRequest, max_seeds: int) -> tuple[Seeds, int | Labels | None]:
    """Everything in the request that depends on the generator.

    Raises:
        Problem: 400, 413 or 422, naming the field.
    """
    formats = archive_formats(generator.card.output)
    if asked.format not in formats:
        kind = generator.card.output.kind
        raise Problem(422, f"{asked.format} cannot hold {kind}s: ask {generator.name!r} for {', '.join(formats)}", "format")
    try:
        seeds = parse_seeds(asked.seeds, max_seeds) if isinstance(asked.seeds, str) else seeds_from_list(asked.seeds, max_seeds)
        labels = _labels(generator, seeds, asked.labels)
        if asked.format == "zip":
            check_distinct(seeds, labels)
    except UserError as error:
        raise Problem.of(error, "seeds") from None
    return seeds, labels


def _labels(generator: Generator, seeds: Seeds, asked: int | list[int] | None) -> int | Labels | None:
    if asked is None:
        return None
    if isinstance(asked, int):
        check_label(generator, asked, "labels")
        return asked
    if len(asked) != seeds.count:
        raise Problem(422, f"{len(asked)} labels for {seeds.count} seeds: give one for each, or one for all", "labels")
    for label in (min(asked), max(asked)):
        check_label(generator, label, "labels")
    return np.array(asked, np.int64)

"""Many images in one answer: the body of `POST /sample`, and the stream that answers it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, ValidationError
from starlette.responses import Response, StreamingResponse

from models.errors import UserError
from models.seeds import Seeds, parse_seeds, seeds_from_list
from service import metrics
from service.addresses import check_label, check_truncation, parse_reference
from service.archives import (
    ARCHIVE_MEDIA_TYPES,
    ArchiveFormat,
    ArchiveWriter,
    Labels,
    Piece,
    archive_writer,
    check_distinct,
    pieces,
)
from service.generator import Generator
from service.library import Library, Served
from service.problems import Problem
from service.settings import Settings


class SampleRequest(BaseModel):
    """Seeds and what to make of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: StrictStr = Field(description="Name of a generator, or name@digest12 to insist on a version.")
    seeds: StrictStr | list[StrictInt] = Field(description='Seeds as text, "0-63,100" (ranges are inclusive), or as a list.')
    labels: StrictInt | list[StrictInt] | None = Field(
        default=None, description="One label for all, or one for each seed; null: the labels that the seeds name."
    )
    truncation: Annotated[StrictFloat | StrictInt, Field(description="Factor on z, at most 1.")] = 1.0
    format: ArchiveFormat = Field(default="zip", description="zip of PNGs, npz (images, seeds, labels), or npy (images).")


def parse_sample(body: bytes) -> SampleRequest:
    """The request in a JSON body.

    Raises:
        Problem: 400, naming the field.
    """
    try:
        return SampleRequest.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise Problem.malformed(error.errors(include_url=False, include_context=False, include_input=False)) from None


async def sample(library: Library, settings: Settings, asked: SampleRequest) -> Response:
    """Make the images asked for, as a stream. The first piece is made before the answer begins, so that its failure shows.

    Raises:
        Problem: whatever is wrong with the request; 429 when too many such requests are under way; 504 after the deadline.
    """
    served = library.find(*parse_reference(asked.model))
    generator = served.generator
    try:
        seeds = parse_seeds(asked.seeds) if isinstance(asked.seeds, str) else seeds_from_list(asked.seeds)
    except UserError as error:
        raise Problem.of(error, "seeds") from None
    if seeds.count > settings.max_seeds:
        raise Problem(413, f"{seeds.count} seeds; at most {settings.max_seeds} in one request", "seeds")
    labels = _labels(generator, seeds, asked.labels)
    check_truncation(asked.truncation)
    if asked.format == "zip":
        try:
            check_distinct(seeds, labels)
        except UserError as error:
            raise Problem.of(error, "seeds") from None
    truncation = float(asked.truncation)
    stream = _stream(
        served,
        pieces(generator, seeds, labels),
        archive_writer(asked.format, generator, seeds.count, truncation),
        truncation,
        asked.format,
        settings.timeout_seconds,
    )
    first = await anext(stream)
    name = f"{generator.name}-{generator.digest12}.{asked.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(_after(first, stream), headers=headers, media_type=ARCHIVE_MEDIA_TYPES[asked.format])


async def _stream(
    served: Served,
    parts: Iterator[Piece],
    writer: ArchiveWriter,
    truncation: float,
    form: ArchiveFormat,
    timeout: float,
) -> AsyncIterator[bytes]:
    """The archive, piece by piece. The generator makes the next piece while one is encoded and sent."""
    name = served.generator.name
    with served.batcher.bulk():
        part = next(parts, None)
        making = served.batcher.piece(*part, truncation) if part else None
        try:
            while part and making:
                async with asyncio.timeout(timeout):
                    images = await making
                done, part = part, next(parts, None)
                making = served.batcher.piece(*part, truncation) if part else None
                yield await asyncio.to_thread(writer.add, *done, images)
                metrics.IMAGES.labels(name, form).inc(len(images))
        except TimeoutError:
            raise Problem(504, f"the images were not ready within {timeout:g} seconds") from None
        finally:
            if making is not None:
                making.cancel()
    yield await asyncio.to_thread(writer.finish)


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        if part:
            yield part


def _labels(generator: Generator, seeds: Seeds, asked: int | list[int] | None) -> int | Labels | None:
    if asked is None:
        return None
    if isinstance(asked, int):
        check_label(generator, asked, "labels")
        return asked
    for label in {min(asked), max(asked)} if asked else ():
        check_label(generator, label, "labels")
    if len(asked) != seeds.count:
        raise Problem(422, f"{len(asked)} labels for {seeds.count} seeds: give one for each, or one for all", "labels")
    return np.array(asked, np.int64)

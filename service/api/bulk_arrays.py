"""Arrays of many seeds at a pinned URL: npy files that never change, of which a client may request any range of bytes.

Only the rows of the range are generated.
"""

import asyncio

import numpy as np
from starlette.datastructures import Headers
from starlette.responses import Response

from seedmint.models.seeds import seeds_from_list
from seedmint.service.api.bulk_samples import start_stream, stream
from seedmint.service.api.etag import entity_tag, is_current
from seedmint.service.api.quota import charge
from seedmint.service.api.ranges import ByteRange, requested_range
from seedmint.service.batching.model_repository import Served
from seedmint.service.encoders.archives import ARCHIVE_MEDIA_TYPES
from seedmint.service.encoders.array_files import NpyRange
from seedmint.service.runtime.pieces import pieces
from seedmint.service.specs.array import ArraySpec, row_bytes


async def respond(
    method: str, headers: Headers, if_none_match: list[bytes], served: Served, spec: ArraySpec, url: str, cache_control: str
) -> Response:
    """Answer GET or HEAD of an array.

    Args:
        method: "GET" or "HEAD".
        headers: Request headers.
        if_none_match: The values of all If-None-Match headers.
        served: The generator and its batcher.
        spec: Spec of the array.
        url: Canonical URL of the spec.
        cache_control: Cache-Control of an immutable response.

    Raises:
        Problem: 416, or the quota of the client is exceeded.
        BatchingError: Too many bulk requests are in flight, or the deadline has passed.
        ClientDisconnect: The client has disconnected.
    """
    generator = served.generator
    tag = entity_tag(generator, spec, url)
    common = {"ETag": tag, "Cache-Control": cache_control, "X-Content-Type-Options": "nosniff"}
    if is_current(if_none_match, tag):
        return Response(status_code=304, headers=common | {"Accept-Ranges": "bytes"})
    head = spec.header(generator)
    part = requested_range(method, headers, len(head) + spec.seeds.count * row_bytes(generator), tag)
    name = f"{generator.name}-{generator.digest12}.npy"
    common |= part.headers | {"Content-Disposition": f'attachment; filename="{name}"'}
    media_type = ARCHIVE_MEDIA_TYPES["npy"]
    first, last = _rows(part, len(head), row_bytes(generator))
    if method == "HEAD" or first == last:
        body = b"" if method == "HEAD" else head[part.start : part.stop]
        return Response(body, part.status, common, media_type)
    seeds = await asyncio.to_thread(lambda: seeds_from_list(spec.seeds.array()[first:last].tolist(), spec.seeds.count))
    writer = NpyRange(head, first * row_bytes(generator), part.start, part.stop)
    parts = ((*piece, None) for piece in pieces(generator, seeds, spec.label))
    chunks = stream(served, parts, writer, spec.truncation, "npy")
    with charge(last - first, "seeds"):
        return await start_stream(chunks, common, media_type, part.status)


def _rows(part: ByteRange, header: int, row: int) -> tuple[int, int]:
    """Return the first row of a range, and the end of its rows. The two are equal if the range is within the header."""
    bounds = np.array([part.start - header, part.stop - header + row - 1]) // row
    first, last = (max(0, int(bound)) for bound in bounds)
    return (first, last) if part.stop > header else (0, 0)

"""One picture of many images: made piece by piece beside other requests, then put together in a thread."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from starlette.requests import ClientDisconnect, Request

from seedmint.service.batching.execution import Latents
from seedmint.service.batching.model_repository import Served
from seedmint.service.encoders.images import MAX_SHEET_SIDE
from seedmint.service.problems import Problem
from seedmint.service.runtime.arrays import Images, Labels, SeedArray
from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

Part = tuple[SeedArray, Labels | None, Latents | None]

# The largest sheet takes two seconds and 300 MB as webp, 75 as png: one at a time.
_THREAD = ThreadPoolExecutor(1, "seedmint-pictures")


async def compose(
    served: Served,
    parts: Callable[[], Iterator[Part]],
    truncation: float,
    finish: Callable[[Images], bytes],
    seconds: float,
) -> bytes:
    """Make images and put them together.

    Args:
        parts: called in a thread; gives seeds, labels and z for `Batcher.piece`, at least one.
        finish: called in a thread with all images.
        seconds: the deadline.

    Raises:
        Problem: 429 too many such requests are under way, 503, or 504 after the deadline.
    """
    name = served.generator.name
    visit = REQUEST_CONTEXT.get()
    with served.batcher.bulk(visit.client):
        try:
            async with asyncio.timeout(seconds):
                cut = await asyncio.to_thread(lambda: list(parts()))
                made = [await served.batcher.piece(seeds, labels, truncation, z, visit.gone) for seeds, labels, z in cut]
                return await asyncio.get_running_loop().run_in_executor(_THREAD, _finished, name, finish, made)
        except TimeoutError:
            raise Problem(504, f"the picture was not ready within {seconds:g} seconds") from None


async def encode_in_thread(encode: Callable[[], bytes]) -> bytes:
    """Encode what is large in a thread that no generator waits for."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, encode)


async def cancel_on_disconnect(request: Request, work: Coroutine[None, None, bytes] | asyncio.Future[bytes]) -> bytes:
    """The result of work, which is withdrawn when the client goes.

    Raises:
        ClientDisconnect: the client has gone.
    """
    working, gone = asyncio.ensure_future(work), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        working.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def check_size(width: int, height: int, frames: int, most_pixels: int, field: str) -> None:
    """
    Raises:
        Problem: 413, the picture or its frames together would be too large; `field` is what makes it so.
    """
    if max(width, height) > MAX_SHEET_SIDE or width * height * frames > most_pixels:
        asked = f"{width}x{height} pixels" if frames == 1 else f"{frames} frames of {width}x{height} pixels"
        detail = f"{asked} are too many: at most {MAX_SHEET_SIDE} a side, and {most_pixels} in all"
        raise Problem(413, detail, field)


def _finished(name: str, finish: Callable[[Images], bytes], made: list[Images]) -> bytes:
    with metrics.encoding_time(name):
        return finish(np.concatenate(made))

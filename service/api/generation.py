"""Generates the body of a reply: one image or sample, or a picture of many images."""

import asyncio
import time
from collections.abc import Iterable
from functools import partial

import numpy as np

from seedmint.service.api.encoding_threads import EncodingThreads, is_large
from seedmint.service.batching.errors import DeadlineExceeded
from seedmint.service.batching.execution import IsDisconnected, keep_arrays
from seedmint.service.batching.model_repository import Served
from seedmint.service.runtime.arrays import Labels, Outputs
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.pictures import PicturePiece
from seedmint.service.specs.sheet import SheetSpec
from seedmint.service.specs.single import ImageSpec, SampleSpec
from seedmint.service.specs.walk import WalkSpec
from seedmint.service.telemetry import metrics, tracing

_TINY_BYTES = 1024
_FAST_FORMATS = ("png", "npy")

Arrays = tuple[Outputs, Labels | None]
Generated = bytes | Arrays
"""The encoded image, or the arrays of an image that is encoded later."""


def submit_image(
    served: Served,
    spec: ImageSpec | SampleSpec,
    timeout: float,
    threads: EncodingThreads,
    is_disconnected: IsDisconnected,
) -> asyncio.Future[Generated]:
    """Put one image or sample into the queue of its generator.

    Args:
        served: The generator and its batcher.
        spec: The image or sample.
        timeout: Seconds until a large image ends with `DeadlineExceeded`; the batcher has its own deadline.
        threads: Encode large images.
        is_disconnected: Checked periodically. The image of a client that has disconnected is not generated.

    Returns:
        The future of the encoded image, or of the arrays for `encode_tiny`. Cancelling the future removes the entry from the
        queue.

    Raises:
        BatchingError: The queue is full, or the server is shutting down.
    """
    if isinstance(spec, ImageSpec) and is_large(served.generator, spec):
        return asyncio.ensure_future(_generate_large(served, spec, timeout, threads, is_disconnected))
    finish = keep_arrays if _is_tiny(served.generator, spec) else partial(spec.encode, served.generator)
    return served.batcher.submit(spec.seed, spec.label, spec.truncation, finish, is_disconnected)


def encode_tiny(generator: Generator, spec: ImageSpec, arrays: Arrays) -> bytes:
    """Encode an image that the inference thread has not encoded.

    Args:
        generator: The generator.
        spec: The image.
        arrays: Result of the future of `submit_image`.
    """
    started = time.perf_counter()
    body = spec.encode(generator, *arrays)
    ended = time.perf_counter()
    metrics.add_encoding_time(generator.id, ended - started)
    tracing.record(tracing.current(), "encode", started, ended, generator=generator.name)
    return body


def _is_tiny(generator: Generator, spec: ImageSpec | SampleSpec) -> bool:
    """Return whether an image is encoded on the event loop.

    The encoding takes about 10 microseconds. In the inference thread, it would compete with the event loop for the GIL.
    """
    return (
        isinstance(spec, ImageSpec)
        and spec.format in _FAST_FORMATS
        and generator.output_values * spec.scale * spec.scale <= _TINY_BYTES
    )


async def _generate_large(
    served: Served, spec: ImageSpec, timeout: float, threads: EncodingThreads, is_disconnected: IsDisconnected
) -> bytes:
    generator = served.generator
    try:
        async with asyncio.timeout(timeout):
            with threads.reserve_image(generator):
                queued = served.batcher.submit(spec.seed, spec.label, spec.truncation, keep_arrays, is_disconnected)
                images, labels = await queued
                return await threads.encode_image(generator, partial(spec.encode, generator, images, labels), is_disconnected)
    except TimeoutError:
        raise DeadlineExceeded(f"the image was not ready within {timeout:g} seconds") from None


async def generate_outputs(
    served: Served,
    parts: Iterable[PicturePiece],
    truncation: float,
    timeout: float,
    client: str,
    is_disconnected: IsDisconnected,
) -> Outputs:
    """Generate many images or samples as one array, in pieces, so that other requests are served in between.

    Args:
        served: The generator and its batcher.
        parts: Seeds, labels and latent vectors, in pieces of at most one batch.
        truncation: Factor on z.
        timeout: Seconds until `DeadlineExceeded`.
        client: Address of the client, or name of its API key.
        is_disconnected: Checked periodically. Nothing is generated for a client that has disconnected.

    Raises:
        BatchingError: Too many bulk requests are in flight, the deadline has passed, the client has disconnected, or the
            server is shutting down.
    """
    batcher = served.batcher
    with batcher.acquire_slot(client):
        try:
            async with asyncio.timeout(timeout):
                return np.concatenate(
                    [await batcher.submit_piece(seeds, labels, truncation, z, is_disconnected) for seeds, labels, z in parts]
                )
        except TimeoutError:
            raise DeadlineExceeded(f"the outputs were not ready within {timeout:g} seconds") from None


async def generate_picture(
    served: Served,
    spec: SheetSpec | WalkSpec,
    timeout: float,
    threads: EncodingThreads,
    client: str,
    is_disconnected: IsDisconnected,
) -> bytes:
    """Generate and encode a picture of many images, in pieces, so that other requests are served in between.

    Args:
        served: The generator and its batcher.
        spec: The picture.
        timeout: Seconds until `DeadlineExceeded`.
        threads: Encode the picture.
        client: Address of the client, or name of its API key.
        is_disconnected: Checked periodically. The picture of a client that has disconnected is not generated.

    Raises:
        BatchingError: Too many bulk requests are in flight, the deadline has passed, the client has disconnected, or the
            server is shutting down.
    """
    generator, batcher = served.generator, served.batcher
    with batcher.acquire_slot(client):
        try:
            async with asyncio.timeout(timeout):
                pieces = await asyncio.to_thread(lambda: list(spec.pieces(generator)))
                outputs = [
                    await batcher.submit_piece(seeds, labels, spec.truncation, z, is_disconnected)
                    for seeds, labels, z in pieces
                ]
                return await threads.encode_picture(
                    generator, lambda: spec.encode(generator, np.concatenate(outputs)), is_disconnected
                )
        except TimeoutError:
            raise DeadlineExceeded(f"the picture was not ready within {timeout:g} seconds") from None

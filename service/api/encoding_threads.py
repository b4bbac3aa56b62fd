"""Threads that encode large images and pictures, outside the inference thread of a generator.

The encoding of a large image takes as long as many runs of the generator. In the inference thread it would delay all other
requests for the generator.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from seedmint.service.batching.errors import ClientGone, Overloaded
from seedmint.service.batching.execution import IsDisconnected
from seedmint.service.encoders.images import ImageFormat
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.single import ImageSpec
from seedmint.service.telemetry import metrics, tracing

"""Returns whether the client has disconnected; None if this is unknown."""

# An image with more pixels is encoded outside the inference thread. npy is a copy.
_LARGE_PIXELS: dict[ImageFormat, int] = {"png": 1 << 18, "webp": 1 << 18, "jpg": 1 << 18, "avif": 1 << 12, "npy": 1 << 22}
_MAX_IMAGE_BYTES = 256 << 20  # of the images, not enlarged, that are generated or wait for the thread


class EncodingThreads:
    """The threads of one application. Lives on one event loop.

    The largest contact sheet takes 2 seconds and 300 MB as webp: one at a time. Large images do not wait for contact sheets.
    """

    def __init__(self) -> None:
        self._pictures = ThreadPoolExecutor(1, "seedmint-pictures")
        self._images = ThreadPoolExecutor(1, "seedmint-large-images")
        self._image_bytes = 0

    @contextmanager
    def reserve_image(self, generator: Generator) -> Iterator[None]:
        """Hold the memory of one large image from its request to the end of its encoding.

        Args:
            generator: The generator of the image.

        Raises:
            Overloaded: Too many large images are generated or wait for the thread.
        """
        size = generator.batch_bytes // generator.max_batch
        if self._image_bytes and self._image_bytes + size > _MAX_IMAGE_BYTES:
            raise Overloaded("too many large images are in flight", "large_images", retry_after=1)
        self._image_bytes += size
        try:
            yield
        finally:
            self._image_bytes -= size

    async def encode_image(self, generator: Generator, encode: Callable[[], bytes], is_disconnected: IsDisconnected) -> bytes:
        """Encode a large image in the thread of large images.

        Args:
            generator: The generator of the image.
            encode: Returns the encoded image.
            is_disconnected: Checked when the encoding starts.

        Raises:
            ClientGone: The client has disconnected.
        """
        return await _run(self._images, generator, encode, is_disconnected)

    async def encode_picture(self, generator: Generator, encode: Callable[[], bytes], is_disconnected: IsDisconnected) -> bytes:
        """Encode a picture of many images in the thread of pictures.

        Args:
            generator: The generator of the images.
            encode: Returns the encoded picture.
            is_disconnected: Checked when the encoding starts.

        Raises:
            ClientGone: The client has disconnected.
        """
        return await _run(self._pictures, generator, encode, is_disconnected)

    def close(self) -> None:
        """End the threads after the current encodings. Call it after the last request."""
        self._pictures.shutdown(wait=False)
        self._images.shutdown(wait=False)


def is_large(generator: Generator, spec: ImageSpec) -> bool:
    """Return whether an image is encoded outside the inference thread.

    Args:
        generator: The generator of the image.
        spec: The image.
    """
    height, width, _ = generator.card.output.shape
    return bool(height * width * spec.scale**2 > _LARGE_PIXELS[spec.format])


async def _run(
    threads: ThreadPoolExecutor, generator: Generator, encode: Callable[[], bytes], is_disconnected: IsDisconnected
) -> bytes:
    trace = tracing.current()

    def work() -> bytes:
        if is_disconnected is not None and is_disconnected():
            raise ClientGone
        started = time.perf_counter()
        with metrics.time_encoding(generator.id):
            body = encode()
        tracing.record(trace, "encode", started, time.perf_counter(), generator=generator.name)
        return body

    return await asyncio.get_running_loop().run_in_executor(threads, work)

"""Threads that encode large images and pictures, outside the inference thread of a generator.

The encoding of a large image takes as long as many runs of the generator. In the inference thread it would delay all other
requests for the generator.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from seedmint.service.batching.errors import ClientGone, Overloaded
from seedmint.service.encoders.images import ImageFormat
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.single import ImageSpec
from seedmint.service.telemetry import metrics

IsDisconnected = Callable[[], bool] | None
"""Returns whether the client has disconnected; None if this is unknown."""

# An image with more pixels is encoded outside the inference thread. npy is a copy.
_LARGE_PIXELS: dict[ImageFormat, int] = {"png": 1 << 18, "webp": 1 << 18, "npy": 1 << 22}
_MAX_IMAGE_BYTES = 256 << 20  # of the images, not enlarged, that are generated or wait for the thread

# The largest contact sheet takes 2 seconds and 300 MB as webp: one at a time. Large images do not wait for contact sheets.
_PICTURES = ThreadPoolExecutor(1, "seedmint-pictures")
_IMAGES = ThreadPoolExecutor(1, "seedmint-large-images")

_image_bytes = 0


def is_large(generator: Generator, spec: ImageSpec) -> bool:
    """Return whether an image is encoded outside the inference thread.

    Args:
        generator: The generator of the image.
        spec: The image.
    """
    height, width, _ = generator.card.output.shape
    return bool(height * width * spec.scale**2 > _LARGE_PIXELS[spec.format])


@contextmanager
def reserve_image(generator: Generator) -> Iterator[None]:
    """Reserve the memory of one large image until its encoding ends.

    Args:
        generator: The generator of the image.

    Raises:
        Overloaded: Too many large images are generated or wait for the thread.
    """
    global _image_bytes
    size = generator.batch_bytes // generator.max_batch
    if _image_bytes and _image_bytes + size > _MAX_IMAGE_BYTES:
        raise Overloaded("too many large images are in flight", "large_images", retry_after=1)
    _image_bytes += size
    try:
        yield
    finally:
        _image_bytes -= size


async def encode_image(generator: Generator, encode: Callable[[], bytes], is_disconnected: IsDisconnected) -> bytes:
    """Encode a large image in the thread of large images.

    Args:
        generator: The generator of the image.
        encode: Returns the encoded image.
        is_disconnected: Checked when the encoding starts.

    Raises:
        ClientGone: The client has disconnected.
    """
    return await _run(_IMAGES, generator, encode, is_disconnected)


async def encode_picture(generator: Generator, encode: Callable[[], bytes], is_disconnected: IsDisconnected) -> bytes:
    """Encode a picture of many images in the thread of pictures.

    Args:
        generator: The generator of the images.
        encode: Returns the encoded picture.
        is_disconnected: Checked when the encoding starts.

    Raises:
        ClientGone: The client has disconnected.
    """
    return await _run(_PICTURES, generator, encode, is_disconnected)


async def _run(
    threads: ThreadPoolExecutor, generator: Generator, encode: Callable[[], bytes], is_disconnected: IsDisconnected
) -> bytes:
    def work() -> bytes:
        if is_disconnected is not None and is_disconnected():
            raise ClientGone
        with metrics.time_encoding(generator.name):
            return encode()

    return await asyncio.get_running_loop().run_in_executor(threads, work)

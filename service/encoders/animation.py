"""Animations: images as the frames of an animated WebP or GIF file."""

import io
from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from seedmint.models.grid import enlarge
from seedmint.service.encoders.images import picture
from seedmint.service.runtime.arrays import Images, Labels, Outputs, SeedArray

AnimationFormat = Literal["webp", "gif"]
ANIMATION_FORMATS: tuple[AnimationFormat, ...] = get_args(AnimationFormat)
ANIMATION_MEDIA_TYPES: dict[AnimationFormat, str] = {"webp": "image/webp", "gif": "image/gif"}


def encode_animation(images: Images, form: AnimationFormat, duration: int, loop: int) -> bytes:
    """Encode images as an animation.

    Args:
        images: uint8[n, height, width, channels], 1, 3 or 4 channels.
        form: "webp" (lossless) or "gif" (color images are reduced to 256 colors a frame).
        duration: Milliseconds a frame.
        loop: Number of repetitions, 0 for no end.
    """
    frames = [picture(image) for image in images]
    if form == "gif" and images.shape[3] > 1:
        # Pillow's default, the median cut, takes hundreds of times as long on noise, for hardly less error.
        frames = [frame.quantize(256, method=Image.Quantize.FASTOCTREE) for frame in frames]
    first, *rest = frames
    options: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": duration}
    buffer = io.BytesIO()
    if form == "webp":
        first.save(buffer, "WEBP", lossless=True, loop=loop, **options)
    else:
        # The GIF field counts the repetitions after the first. A file without the field plays once.
        repeat = {} if loop == 1 else {"loop": max(0, loop - 1)}
        first.save(buffer, "GIF", **repeat, **options)
    return buffer.getvalue()


class AnimationWriter:
    """Writes an animation like an archive: `add` keeps the frames, and `finish` encodes all of them."""

    def __init__(self, form: AnimationFormat, scale: int, duration: int) -> None:
        """
        Args:
            form: "webp" or "gif".
            scale: Factor of the nearest-neighbor enlargement.
            duration: Milliseconds a frame.
        """
        self._form, self._scale, self._duration = form, scale, duration
        self._frames: list[Images] = []

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        """Keep the frames of one piece.

        Args:
            seeds: Ignored.
            labels: Ignored.
            outputs: uint8[n, height, width, channels].
        """
        self._frames.append(np.asarray(outputs, np.uint8))
        return b""

    def finish(self) -> Iterator[bytes]:
        """Yield the file."""
        yield encode_animation(enlarge(np.concatenate(self._frames), self._scale), self._form, self._duration, 0)

"""Animations: images as the frames of an animated WebP or GIF file."""

import io
from typing import Any, Literal

from PIL import Image

from seedmint.service.encoders.images import picture
from seedmint.service.runtime.arrays import Images

AnimationFormat = Literal["webp", "gif"]


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

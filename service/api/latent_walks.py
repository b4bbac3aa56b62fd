"""Latent walks: from the image of one seed to that of another, as an animation or a strip, at one address."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image, features

from seedmint.models.card import ImageOutput
from seedmint.service.api.composition import Part, check_size
from seedmint.service.api.urls import (
    image_output,
    label_of,
    model_path,
    own_label,
    parse_format,
    parse_query,
    query_of,
    scale_of,
    seed_of,
    truncation_of,
    unless_own,
    whole,
)
from seedmint.service.encoders.images import ENCODERS, MEDIA_TYPES, contact_sheet, encode, enlarge, picture, sheet_size, text_of
from seedmint.service.problems import Problem
from seedmint.service.runtime.arrays import Images
from seedmint.service.runtime.generator import Generator
from seedmint.service.runtime.interpolation import walk

WalkFormat = Literal["webp", "gif", "png"]
WALK_FORMATS: tuple[WalkFormat, ...] = get_args(WalkFormat)
WALK_MEDIA_TYPES: dict[WalkFormat, str] = {"webp": MEDIA_TYPES["webp"], "gif": "image/gif", "png": MEDIA_TYPES["png"]}
_ANIMATED = ("webp", "gif")
STRIP_PARAMETERS = ("from", "to", "frames", "label", "truncation", "scale")
WALK_PARAMETERS = (*STRIP_PARAMETERS, "duration", "loop")

FRAMES = 32
MIN_FRAMES = 2
MAX_FRAMES = 256
DURATION = 80  # milliseconds
DURATION_STEP = 10  # and the least
MAX_DURATION = 10_000
MAX_LOOP = 1000
MAX_WALK_PIXELS = 1 << 22  # of all frames together

_LAYOUT = "walk-1"  # changes when the same address becomes other pixels
_ENCODERS: dict[WalkFormat, str] = {
    "webp": ENCODERS["webp"],
    "gif": f"pillow-{features.version('pil')}-gif",
    "png": ENCODERS["png"],
}


@dataclass(frozen=True, slots=True)
class WalkAddress:
    """One walk, wholly named.

    Attributes:
        start, end: the seeds of the first and last frame.
        label: of all frames; None of an unconditional generator.
        duration: milliseconds a frame; None of a strip.
        loop: times it is shown, 0 for ever; None of a strip.
    """

    start: int
    end: int
    frames: int
    label: int | None
    truncation: float
    scale: int
    duration: int | None
    loop: int | None
    format: WalkFormat

    @property
    def media_type(self) -> str:
        return WALK_MEDIA_TYPES[self.format]

    @property
    def encoder(self) -> str:
        """What decides the bytes beside the pixels."""
        return f"{_LAYOUT}-{_ENCODERS[self.format]}"

    @property
    def count(self) -> int:
        """Images in it."""
        return self.frames

    def path(self, generator: Generator) -> str:
        """The one address of this walk."""
        query = query_of(
            **{"from": self.start, "to": self.end},
            frames=None if self.frames == FRAMES else self.frames,
            label=unless_own(generator, self.start, self.label),
            truncation=self.truncation,
            scale=self.scale,
            duration=None if self.duration == DURATION else self.duration,
            loop=self.loop or None,
        )
        return f"{model_path(generator)}/walk.{self.format}{query}"

    def parts(self, generator: Generator) -> Iterator[Part]:
        """What to make, piece by piece."""
        start, end = generator.noise(np.array([self.start, self.end], np.int64))
        z = walk(generator.card.noise.rule, start, end, self.frames)
        for i in range(0, self.frames, generator.max_batch):
            part = z[i : i + generator.max_batch]
            labels = None if self.label is None else np.full(len(part), self.label, np.int64)
            yield np.full(len(part), self.start, np.int64), labels, part

    def finish(self, generator: Generator, images: Images) -> bytes:
        """The images as the file that goes out."""
        large = np.stack([enlarge(image, self.scale) for image in images])
        if self.format == "png":
            text = {"from": str(self.start), "to": str(self.end), "frames": str(self.frames)}
            text |= text_of(generator, self.start, self.label, self.truncation)
            del text["seed"]
            return encode(contact_sheet(large, self.frames), "png", text)
        return _animation(large, self.format, self.duration, self.loop)


def parse_walk(generator: Generator, extension: str, query: str) -> WalkAddress:
    """The walk named by `walk.{format}` and a query string.

    Raises:
        Problem: 400 malformed, 404 unknown format or no generator of images, 413 too large, 422 out of range; `field` says
            which part.
    """
    output = image_output(generator)
    form = parse_format(extension, WALK_FORMATS)
    animated = form in _ANIMATED
    parameters = parse_query(query, WALK_PARAMETERS if animated else STRIP_PARAMETERS)
    for end in ("from", "to"):
        if end not in parameters:
            raise Problem(400, f"{end} is missing: a walk goes from one seed to another, ?from=1&to=2", end)
    start, last = seed_of(parameters["from"], "from"), seed_of(parameters["to"], "to")
    frames = _in_range(parameters, "frames", FRAMES, MIN_FRAMES, MAX_FRAMES)
    asked = label_of(generator, parameters)
    label = own_label(generator, start) if asked is None else asked
    truncation, scale = truncation_of(parameters), scale_of(parameters, output)
    duration = loop = None
    if animated:
        duration = _in_range(parameters, "duration", DURATION, DURATION_STEP, MAX_DURATION)
        if duration % DURATION_STEP:
            raise Problem(422, f"duration {duration} is not a multiple of {DURATION_STEP} milliseconds", "duration")
        loop = _in_range(parameters, "loop", 0, 0, MAX_LOOP)
    _check_size(output, frames, scale, animated)
    return WalkAddress(start, last, frames, label, truncation, scale, duration, loop, form)


def walk_template(generator: Generator) -> str:
    """The pinned addresses of a generator's walks, as a URI template (RFC 6570)."""
    parameters = [name for name in WALK_PARAMETERS if name != "label" or generator.card.classes is not None]
    return f"{model_path(generator)}/walk.{{format}}{{?{','.join(parameters)}}}"


def _in_range(parameters: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    value = whole(name, parameters[name]) if name in parameters else default
    if not least <= value <= most:
        raise Problem(422, f"{name} {value} is out of range: {least} to {most}", name)
    return value


def _check_size(output: ImageOutput, frames: int, scale: int, animated: bool) -> None:
    field = "frames" if scale == 1 else "scale"
    if animated:
        check_size(output.width * scale, output.height * scale, frames, MAX_WALK_PIXELS, field)
    else:
        check_size(*sheet_size(output, frames, 1, scale), 1, MAX_WALK_PIXELS, field)


def _animation(images: Images, form: WalkFormat, duration: int | None, loop: int | None) -> bytes:
    frames = [picture(image) for image in images]
    if form == "gif" and images.shape[3] == 3:
        # Pillow by itself takes the median cut: on noise, hundreds of times as long for hardly less of an error.
        frames = [frame.quantize(256, method=Image.Quantize.FASTOCTREE) for frame in frames]
    first, *rest = frames
    options: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": duration}
    buffer = io.BytesIO()
    if form == "webp":
        first.save(buffer, "WEBP", lossless=True, loop=loop, **options)
    else:
        # A GIF says how often it is shown again; without that word, it is shown once.
        again = {} if loop == 1 else {"loop": max(0, (loop or 0) - 1)}
        first.save(buffer, "GIF", **again, **options)
    return buffer.getvalue()

"""The spec of a latent walk: from the image of one seed to the image of another, as an animation or a strip."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import features

from seedmint.models.grid import enlarge
from seedmint.service.encoders.animation import ANIMATION_MEDIA_TYPES, encode_animation
from seedmint.service.encoders.images import ENCODERS, MEDIA_TYPES, contact_sheet, encode, sheet_size, text_of
from seedmint.service.runtime.arrays import Images
from seedmint.service.runtime.generator import Generator
from seedmint.service.runtime.interpolation import walk
from seedmint.service.specs.errors import SpecError
from seedmint.service.specs.pictures import PicturePiece, check_picture_size
from seedmint.service.specs.values import (
    default_label,
    explicit_label,
    require_format,
    require_images,
    require_range,
    require_scale,
    require_truncation,
)

WalkFormat = Literal["webp", "gif", "png"]
WALK_FORMATS: tuple[WalkFormat, ...] = get_args(WalkFormat)
WALK_MEDIA_TYPES: dict[WalkFormat, str] = {
    "webp": ANIMATION_MEDIA_TYPES["webp"],
    "gif": ANIMATION_MEDIA_TYPES["gif"],
    "png": MEDIA_TYPES["png"],
}

DEFAULT_FRAMES = 32
MIN_FRAMES = 2
MAX_FRAMES = 256
DEFAULT_DURATION = 80  # milliseconds a frame
DURATION_STEP = 10  # milliseconds; also the minimum
MAX_DURATION = 10_000
MAX_LOOP = 1000
MAX_WALK_PIXELS = 1 << 22  # of all frames

_LAYOUT = "walk-1"  # part of the ETag: change the name when the layout changes
_ENCODERS: dict[WalkFormat, str] = {
    "webp": ENCODERS["webp"],
    "gif": f"pillow-{features.version('pil')}-gif",
    "png": ENCODERS["png"],
}


def require_duration(duration: int | None) -> int:
    """Return the duration of a frame in milliseconds.

    Args:
        duration: A multiple of `DURATION_STEP`, at most `MAX_DURATION`; None for `DEFAULT_DURATION`.

    Raises:
        SpecError: The duration is invalid.
    """
    if duration is None:
        return DEFAULT_DURATION
    require_range(duration, DURATION_STEP, MAX_DURATION, "duration")
    if duration % DURATION_STEP:
        raise SpecError(f"{duration} is not a multiple of {DURATION_STEP} milliseconds", field="duration")
    return duration


@dataclass(frozen=True, slots=True)
class WalkSpec:
    """One latent walk. The digest of the generator and these fields determine the pixels.

    Attributes:
        start: Seed of the first frame.
        end: Seed of the last frame.
        frames: Number of frames.
        label: Class number of all frames; None for the label that `start` determines.
        truncation: Factor on z.
        scale: Factor of the nearest-neighbor enlargement of each frame.
        duration: Milliseconds a frame; None for a strip.
        loop: Number of repetitions, 0 for no end; None for a strip.
        format: File format: "webp" and "gif" are animations, "png" is a strip of all frames.
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

    @classmethod
    def create(
        cls,
        generator: Generator,
        start: int,
        end: int,
        extension: str,
        frames: int | None = None,
        label: int | None = None,
        truncation: float = 1.0,
        scale: int = 1,
        duration: int | None = None,
        loop: int | None = None,
    ) -> "WalkSpec":
        """Create the spec after a check of the values against a generator.

        Args:
            generator: A generator of images.
            start: Seed of the first frame, 0 <= seed < 2**63.
            end: Seed of the last frame.
            extension: "webp", "gif" or "png".
            frames: Number of frames; None for `DEFAULT_FRAMES`.
            label: Class number of all frames; None for the label that `start` determines.
            truncation: 0.001 to 1.
            scale: 1 to the limit of the generator.
            duration: Milliseconds a frame; None for `DEFAULT_DURATION`. Not for a strip.
            loop: Number of repetitions, 0 or None for no end. Not for a strip.

        Raises:
            SpecError: A value is invalid.
        """
        output = require_images(generator)
        form = require_format(extension, WALK_FORMATS)
        frames = DEFAULT_FRAMES if frames is None else frames
        require_range(frames, MIN_FRAMES, MAX_FRAMES, "frames")
        label = explicit_label(generator, start, label)
        truncation, scale = require_truncation(generator, truncation), require_scale(output, scale)
        large_field = "frames" if scale == 1 else "scale"
        if form == "png":
            for field, value in (("duration", duration), ("loop", loop)):
                if value is not None:
                    raise SpecError("a png is a strip: omit this parameter", field=field)
            check_picture_size(*sheet_size(output, frames, 1, scale), 1, MAX_WALK_PIXELS, large_field)
            return cls(start, end, frames, label, truncation, scale, None, None, form)
        duration = require_duration(duration)
        loop = loop or 0
        require_range(loop, 0, MAX_LOOP, "loop")
        check_picture_size(output.width * scale, output.height * scale, frames, MAX_WALK_PIXELS, large_field)
        return cls(start, end, frames, label, truncation, scale, duration, loop, form)

    @property
    def media_type(self) -> str:
        """Media type of the file."""
        return WALK_MEDIA_TYPES[self.format]

    @property
    def encoder(self) -> str:
        """Layout, and name and version of the encoder, which determine the bytes together with the pixels."""
        return f"{_LAYOUT}-{_ENCODERS[self.format]}"

    @property
    def count(self) -> int:
        """Number of images."""
        return self.frames

    def pieces(self, generator: Generator) -> Iterator[PicturePiece]:
        """Yield seeds, labels and latent vectors of the frames, in pieces of at most one batch.

        Args:
            generator: The generator of the frames.
        """
        first, last = generator.noise(np.array([self.start, self.end], np.int64))
        z = walk(generator.card.noise.rule, first, last, self.frames)
        label = default_label(generator, self.start) if self.label is None else self.label
        for i in range(0, self.frames, generator.max_batch):
            piece = z[i : i + generator.max_batch]
            labels = None if label is None else np.full(len(piece), label, np.int64)
            yield np.full(len(piece), self.start, np.int64), labels, piece

    def encode(self, generator: Generator, images: Images) -> bytes:
        """Encode the animation or the strip.

        Args:
            generator: The generator of the frames.
            images: uint8[frames, height, width, channels].
        """
        enlarged = enlarge(images, self.scale)
        if self.format == "png":
            label = default_label(generator, self.start) if self.label is None else self.label
            text = {"from": str(self.start), "to": str(self.end), "frames": str(self.frames)}
            text |= text_of(generator, self.start, label, self.truncation)
            del text["seed"]
            return encode(contact_sheet(enlarged, self.frames), "png", text)
        assert self.duration is not None
        assert self.loop is not None
        return encode_animation(enlarged, self.format, self.duration, self.loop)

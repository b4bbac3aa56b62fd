"""Specs of one image and of one sample."""

from dataclasses import dataclass

from seedmint.models.grid import enlarge
from seedmint.models.label_choice import ClassChoice
from seedmint.service.encoders.images import ENCODERS, FORMATS, MEDIA_TYPES, ImageFormat, encode, image_formats, text_of
from seedmint.service.encoders.tabular import (
    SAMPLE_ENCODERS,
    SAMPLE_FORMATS,
    SAMPLE_MEDIA_TYPES,
    SampleFormat,
    encode_sample,
    sample_formats,
)
from seedmint.service.runtime.arrays import Labels, Outputs
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.values import (
    explicit_label,
    require_format,
    require_images,
    require_quality,
    require_samples,
    require_scale,
    require_truncation,
)


@dataclass(slots=True)  # not frozen: faster to create
class ImageSpec:
    """One image. The digest of the generator and the fields other than `format` determine the pixels.

    Attributes:
        seed: Seed of the image.
        label: Class number; None for the label that the seed determines.
        truncation: Factor on z.
        scale: Factor of the nearest-neighbor enlargement.
        format: File format.
        quality: Quality of a lossy file, 1 to 100; None for a lossless file.
    """

    seed: int
    label: int | None
    truncation: float
    scale: int
    format: ImageFormat
    quality: int | None = None

    @classmethod
    def create(
        cls,
        generator: Generator,
        seed: int,
        extension: str,
        label: int | None = None,
        truncation: float = 1.0,
        scale: int = 1,
        quality: int | None = None,
    ) -> "ImageSpec":
        """Make the spec of an image; check the values against its generator.

        Args:
            generator: A generator of images.
            seed: 0 <= seed < 2**63.
            extension: "png", "webp", "jpg", "avif" or "npy".
            label: Class number; None for the label that the seed determines.
            truncation: 0.001 to 1.
            scale: 1 to the largest scale that the generator allows.
            quality: 1 to 100, of "webp", "jpg" and "avif"; None for the quality of the format, which is lossless for "webp".

        Raises:
            SpecError: A value is invalid.
        """
        output = require_images(generator)
        form = require_format(extension, image_formats(output) if extension in FORMATS else FORMATS)
        label = explicit_label(generator, seed, label)
        truncation, scale = require_truncation(generator, truncation), require_scale(output, scale)
        return cls(seed, label, truncation, scale, form, require_quality(form, quality))

    @property
    def media_type(self) -> str:
        """Media type of the file."""
        return MEDIA_TYPES[self.format]

    @property
    def encoder(self) -> str:
        """Name and version of the encoder. Together with the pixels, they determine the bytes."""
        return ENCODERS[self.format]

    def encode(self, generator: Generator, images: Outputs, labels: Labels | None) -> bytes:
        """Encode the image.

        Args:
            generator: The generator of the image.
            images: uint8[1, height, width, channels].
            labels: int64[1]; None for an unconditional generator.
        """
        label = None if labels is None else int(labels[0])
        text = text_of(generator, self.seed, label, self.truncation)
        return encode(enlarge(images[0], self.scale), self.format, text, self.quality)


@dataclass(slots=True)  # not frozen: faster to create
class SampleSpec:
    """One sample. The digest of the generator and the fields other than `format` determine the values.

    Attributes:
        seed: Seed of the sample.
        label: Class number; None for the label that the seed determines.
        truncation: Factor on z.
        format: File format.
    """

    seed: int
    label: int | None
    truncation: float
    format: SampleFormat

    @classmethod
    def create(
        cls, generator: Generator, seed: int, extension: str, label: ClassChoice | None = None, truncation: float = 1.0
    ) -> "SampleSpec":
        """Make the spec of a sample; check the values against its generator.

        Args:
            generator: A generator of samples.
            seed: 0 <= seed < 2**63.
            extension: "json", "csv", "npy", "png" or, of strings, "txt".
            label: Class number, or several, of which the seed has one; None for the label that the seed determines.
            truncation: 0.001 to 1.

        Raises:
            SpecError: A value is invalid.
        """
        output = require_samples(generator)
        form = require_format(extension, sample_formats(output) if extension in SAMPLE_FORMATS else SAMPLE_FORMATS)
        return cls(seed, explicit_label(generator, seed, label), require_truncation(generator, truncation), form)

    @property
    def media_type(self) -> str:
        """Media type of the file."""
        return SAMPLE_MEDIA_TYPES[self.format]

    @property
    def encoder(self) -> str:
        """Name and version of the encoder. Together with the values, they determine the bytes."""
        return SAMPLE_ENCODERS[self.format]

    def encode(self, generator: Generator, samples: Outputs, labels: Labels | None) -> bytes:
        """Encode the sample.

        Args:
            generator: The generator of the sample.
            samples: float32[1, ...].
            labels: int64[1]; None for an unconditional generator.
        """
        label = None if labels is None else int(labels[0])
        return encode_sample(generator, samples[0], self.format, self.seed, label, self.truncation)

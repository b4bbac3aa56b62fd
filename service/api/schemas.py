"""JSON documents of generators: what a generator produces, and the URLs of its images or samples."""

from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from seedmint.models.card import Card, ClassWeight, ImageOutput, Name, Noise, SampleOutput, Truncation
from seedmint.models.card_part import Line, Sha256
from seedmint.models.runtime.generator_file import DIGEST12
from seedmint.models.runtime.provider import Provider
from seedmint.service.api.query import SHEET_LIMITS
from seedmint.service.api.urls import (
    array_template,
    image_template,
    latent_template,
    model_url,
    sample_template,
    sheet_template,
    walk_template,
)
from seedmint.service.encoders.archives import ArchiveFormat, archive_formats
from seedmint.service.encoders.images import ImageFormat, image_formats, max_scale
from seedmint.service.encoders.tabular import SampleFormat, sample_formats
from seedmint.service.runtime.generator import Generator
from seedmint.service.runtime.output_check import Determinism
from seedmint.service.specs.sheet import SHEET_FORMATS, SheetFormat
from seedmint.service.specs.walk import MAX_WALK_PIXELS, WALK_FORMATS, WalkFormat

Digest12 = Annotated[str, Field(pattern=f"^[0-9a-f]{{{DIGEST12}}}$")]


class _Summary(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: Name
    title: Line
    digest: Sha256
    versions: tuple[Digest12, ...] = Field(
        description="First digits of the digests of all versions that this server answers, the present version first."
    )
    classes: tuple[Line, ...] | None = Field(description="Class names, by label; null: the generator takes no label.")
    class_weights: tuple[ClassWeight, ...] | None = Field(
        description="Weight of each class in the rule labels-v2 (seed to label); null: labels-v1, equal classes."
    )
    noise: Noise
    determinism: Determinism = Field(description="exact: this server computes the reference of the card, in every batch.")
    provider: Provider = Field(description="Execution provider of this server.")
    truncation: Truncation = Field(description="What `truncation` acts on; none: only 1 is allowed.")
    bulk_formats: tuple[ArchiveFormat, ...] = Field(description="Formats of POST /v1/sample.")
    url: str = Field(description="Pinned URL. It always names this version.")
    sample_url: str = Field(description="URL for requests of many seeds.")
    array_url: str = Field(description="URI template (RFC 6570) of the arrays of many seeds, with ranges of bytes.")
    latent_url: str = Field(description="URI template (RFC 6570) of the latent vectors of seeds.")
    from_latents_url: str = Field(description="URL for requests of latent vectors.")


class ImageGenerator(_Summary):
    """A generator of images."""

    output: ImageOutput
    formats: tuple[ImageFormat, ...]
    max_scale: Annotated[int, Field(ge=1, description="Maximum of `scale`.")]
    image_url: str = Field(description="URI template (RFC 6570) of the images.")
    grid_formats: tuple[SheetFormat, ...]
    grid_url: str = Field(description="URI template of the contact sheets.")
    max_grid_pixels: int
    walk_formats: tuple[WalkFormat, ...]
    walk_url: str = Field(description="URI template of the latent walks.")
    max_walk_pixels: int = Field(description="Maximum number of pixels of all frames.")


class SampleGenerator(_Summary):
    """A generator of samples that are not images."""

    output: SampleOutput
    formats: tuple[SampleFormat, ...]
    sample_template: str = Field(description="URI template (RFC 6570) of the samples.")


class Generators(BaseModel):
    """A page of the generators, by name, and the version of Seedmint."""

    version: str
    models: tuple[ImageGenerator | SampleGenerator, ...]
    next_url: str | None = Field(description="URL of the next page; null on the last page.")


class Check(BaseModel):
    """Outcome of the comparison with the reference of the card, when this server loaded the generator."""

    model_config = ConfigDict(frozen=True)

    seeds: int = Field(description="Number of seeds that were compared, from 0.")
    outputs: Sha256 = Field(description="SHA-256 of the outputs of these seeds on this server.")
    expected: Sha256 | None = Field(description="SHA-256 in the reference of the card; null: the card has no reference.")
    is_batch_independent: bool = Field(description="Whether batches of all tested sizes gave the same bytes.")
    difference: float | None = Field(
        description="Greatest difference, in gray levels or in the units of the samples; null: not measured."
    )


class ImageGeneratorPage(ImageGenerator):
    """A generator of images with its card and its check."""

    card: Card
    check: Check


class SampleGeneratorPage(SampleGenerator):
    """A generator of samples with its card and its check."""

    card: Card
    check: Check


def summary(generator: Generator, versions: tuple[str, ...], prefix: str = "") -> ImageGenerator | SampleGenerator:
    """Return the entry of a generator in the list of generators.

    Args:
        generator: The generator.
        versions: First twelve digits of the digests of its versions in service, the present version first.
        prefix: Path prefix of all URLs.
    """
    card = generator.card
    common = {
        "name": card.name,
        "title": card.title,
        "digest": generator.digest,
        "versions": versions,
        "classes": card.classes,
        "class_weights": card.class_weights,
        "noise": card.noise,
        "determinism": generator.determinism,
        "provider": generator.provider,
        "truncation": card.truncation,
        "bulk_formats": archive_formats(card.output),
        "url": prefix + model_url(generator),
        "sample_url": f"{prefix}/v1/sample",
        "array_url": prefix + array_template(generator),
        "latent_url": prefix + latent_template(generator),
        "from_latents_url": f"{prefix}/v1/latents",
        "output": card.output,
    }
    if isinstance(card.output, ImageOutput):
        images = {
            "formats": image_formats(card.output),
            "max_scale": max_scale(card.output),
            "image_url": prefix + image_template(generator),
            "grid_formats": SHEET_FORMATS,
            "grid_url": prefix + sheet_template(generator),
            "max_grid_pixels": SHEET_LIMITS.pixels,
            "walk_formats": WALK_FORMATS,
            "walk_url": prefix + walk_template(generator),
            "max_walk_pixels": MAX_WALK_PIXELS,
        }
        return ImageGenerator.model_validate(common | images)
    samples = {"formats": sample_formats(card.output), "sample_template": prefix + sample_template(generator)}
    return SampleGenerator.model_validate(common | samples)


def generator_page(
    generator: Generator, versions: tuple[str, ...], prefix: str = ""
) -> ImageGeneratorPage | SampleGeneratorPage:
    """Return the page of a generator: its entry with its card and its check.

    Args:
        generator: The generator.
        versions: First twelve digits of the digests of its versions in service, the present version first.
        prefix: Path prefix of all URLs.
    """
    entry = summary(generator, versions, prefix)
    page = ImageGeneratorPage if isinstance(entry, ImageGenerator) else SampleGeneratorPage
    return page.model_validate(dict(entry) | {"card": generator.card, "check": asdict(generator.check)})

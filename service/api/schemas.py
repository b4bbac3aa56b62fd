"""What the lists of generators say of each, and how its images or samples are asked for."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from seedmint.models.card import Card, ImageOutput, Line, Name, Noise, SampleOutput, Sha256
from seedmint.models.runtime.provider import Provider
from seedmint.service.api.contact_sheets import MAX_SHEET_PIXELS, SHEET_FORMATS, SheetFormat, sheet_template
from seedmint.service.api.latent_walks import MAX_WALK_PIXELS, WALK_FORMATS, WalkFormat, walk_template
from seedmint.service.api.urls import image_template, model_path, sample_template
from seedmint.service.encoders.archives import ArchiveFormat, archive_formats
from seedmint.service.encoders.images import FORMATS, Format, max_scale
from seedmint.service.encoders.tabular import SAMPLE_FORMATS, SampleFormat
from seedmint.service.runtime.generator import Generator


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: Name
    title: Line
    digest: Sha256
    classes: tuple[Line, ...] | None = Field(description="Names of the labels from 0 on; null: it takes no label.")
    noise: Noise
    determinism: Literal["exact", "approximate"] = Field(description="Whether a seed is the same bytes in every batch.")
    provider: Provider = Field(description="What runs it here.")
    bulk_formats: tuple[ArchiveFormat, ...] = Field(description="Formats of POST /v1/sample.")
    url: str = Field(description="Its pinned address, which never means another version.")
    sample_url: str = Field(description="Where many are asked for.")


class ImageGenerator(_Described):
    """A generator of images."""

    output: ImageOutput
    formats: tuple[Format, ...]
    max_scale: Annotated[int, Field(ge=1, description="Largest `scale`.")]
    image_url: str = Field(description="Its images' addresses, as a URI template (RFC 6570).")
    grid_formats: tuple[SheetFormat, ...]
    grid_url: str = Field(description="Its contact sheets' addresses, likewise.")
    max_grid_pixels: int
    walk_formats: tuple[WalkFormat, ...]
    walk_url: str = Field(description="Its latent walks' addresses, likewise.")
    max_walk_pixels: int = Field(description="Of all frames together.")


class SampleGenerator(_Described):
    """A generator of samples that are not images."""

    output: SampleOutput
    formats: tuple[SampleFormat, ...]
    sample_template: str = Field(description="Its samples' addresses, as a URI template (RFC 6570).")


class Generators(BaseModel):
    """All generators, by name."""

    models: tuple[ImageGenerator | SampleGenerator, ...]


class ImageGeneratorPage(ImageGenerator):
    """A generator of images, with its whole card."""

    card: Card


class SampleGeneratorPage(SampleGenerator):
    """A generator of samples, with its whole card."""

    card: Card


def described(generator: Generator) -> ImageGenerator | SampleGenerator:
    """A generator as the list has it."""
    card = generator.card
    common = {
        "name": card.name,
        "title": card.title,
        "digest": generator.digest,
        "classes": card.classes,
        "noise": card.noise,
        "determinism": generator.determinism,
        "provider": generator.provider,
        "bulk_formats": archive_formats(card.output),
        "url": model_path(generator),
        "sample_url": "/v1/sample",
        "output": card.output,
    }
    if isinstance(card.output, ImageOutput):
        ways = {
            "formats": FORMATS,
            "max_scale": max_scale(card.output),
            "image_url": image_template(generator),
            "grid_formats": SHEET_FORMATS,
            "grid_url": sheet_template(generator),
            "max_grid_pixels": MAX_SHEET_PIXELS,
            "walk_formats": WALK_FORMATS,
            "walk_url": walk_template(generator),
            "max_walk_pixels": MAX_WALK_PIXELS,
        }
        return ImageGenerator.model_validate(common | ways)
    return SampleGenerator.model_validate(common | {"formats": SAMPLE_FORMATS, "sample_template": sample_template(generator)})


def page_of(generator: Generator) -> ImageGeneratorPage | SampleGeneratorPage:
    """A generator with its card."""
    short = described(generator)
    kind = ImageGeneratorPage if isinstance(short, ImageGenerator) else SampleGeneratorPage
    return kind.model_validate(dict(short) | {"card": generator.card})

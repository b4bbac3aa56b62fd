"""Parses the path and query of a URL into a spec, strictly: an unknown, repeated or malformed parameter is an error."""

import re
from typing import TypeVar

from seedmint.models.card import NAME_PATTERN
from seedmint.models.errors import UserError
from seedmint.models.label_choice import ClassChoice
from seedmint.models.runtime.generator_file import DIGEST12
from seedmint.models.seeds import Seeds, parse_seed, parse_seeds, quoted
from seedmint.service.api.parameters import (
    Parameters,
    QueryError,
    integer,
    parse_label,
    parse_labelled,
    parse_query,
    parse_truncation,
)
from seedmint.service.api.urls import (
    ANIMATION_PARAMETERS,
    ARRAY_PARAMETERS,
    IMAGE_PARAMETERS,
    SAMPLE_PARAMETERS,
    SHEET_PARAMETERS,
    STRIP_PARAMETERS,
    canonical_url,
    image_template,
    sample_template,
)
from seedmint.service.encoders.images import FORMATS
from seedmint.service.encoders.tabular import SAMPLE_FORMATS
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.array import ArraySpec
from seedmint.service.specs.errors import SpecError
from seedmint.service.specs.latent import LATENT_FORMATS, LatentSpec
from seedmint.service.specs.sheet import SHEET_FORMATS, SheetLimits, SheetSpec
from seedmint.service.specs.single import ImageSpec, SampleSpec
from seedmint.service.specs.values import require_format, require_images, require_samples
from seedmint.service.specs.walk import WALK_FORMATS, WalkSpec

DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST12}}}", re.ASCII)
MAX_MODELS = 1000  # on a page of the list of generators
_MAX_URL_BYTES = 48 << 10  # of a redirect, so that the server accepts the URL with the headers of a client
SHEET_LIMITS = SheetLimits(seeds=1024, pixels=1 << 23)

Format = TypeVar("Format", bound=str)


class UnknownDigestError(UserError):
    """A digest in a URL cannot be the digest of a generator."""

    reason = "unknown_version"


def parse_reference(text: str) -> tuple[str, str | None]:
    """Parse `name` or `name@digest12` into the name, and the digest or None.

    Args:
        text: Name of a generator, with or without the first 12 digits of its digest.

    Raises:
        UnknownDigestError: The digest is malformed.
    """
    name, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        message = f"{quoted(digest)} is not a digest of {DIGEST12} lower-case hexadecimal digits"
        raise UnknownDigestError(message, field="digest")
    return name, digest if at else None


def parse_model_page(query: str) -> tuple[int, str]:
    """Parse the query of the list of generators.

    Args:
        query: The query string.

    Returns:
        The largest number of generators, and the name after which the page begins.

    Raises:
        QueryError: The query is malformed.
        SpecError: The limit is out of range.
    """
    parameters = parse_query(query, ("limit", "after"))
    limit = integer(parameters, "limit")
    if limit is not None and not 1 <= limit <= MAX_MODELS:
        raise SpecError(f"{limit} is out of range: 1 to {MAX_MODELS}", field="limit", reason="out_of_range")
    after = parameters.get("after")
    if after is not None and not re.fullmatch(NAME_PATTERN, after, re.ASCII):
        raise QueryError(f"{quoted(after)} is not the name of a generator", field="after")
    return limit or MAX_MODELS, after or ""


def parse_image(generator: Generator, file: str, query: str) -> ImageSpec:
    """Parse `{seed}.{format}` and a query string into the spec of an image.

    Args:
        generator: The generator in the URL.
        file: Last segment of the path.
        query: Query string, without "?".

    Raises:
        UserError: A part is invalid; `field` names the part.
    """
    _require_images(generator)
    seed, form = _seed_and_format(file, FORMATS)
    parameters = parse_query(query, IMAGE_PARAMETERS)
    label, quality = parse_label(generator, parameters), integer(parameters, "quality")
    return ImageSpec.create(generator, seed, form, label, parse_truncation(parameters), _scale(parameters), quality)


def parse_latent(_: Generator, file: str, query: str) -> LatentSpec:
    """Parse `{seed}.{format}` into the spec of a latent vector.

    Args:
        _: The generator in the URL.
        file: Last segment of the path.
        query: Query string, without "?".

    Raises:
        UserError: A part is invalid; `field` names the part.
    """
    seed, form = _seed_and_format(file, LATENT_FORMATS)
    parse_query(query, ())
    return LatentSpec.create(seed, form)


def parse_sample(generator: Generator, file: str, query: str) -> SampleSpec:
    """Parse `{seed}.{format}` and a query string into the spec of a sample.

    Args:
        generator: The generator in the URL.
        file: Last segment of the path.
        query: Query string, without "?".

    Raises:
        UserError: A part is invalid; `field` names the part.
    """
    _require_samples(generator)
    seed, form = _seed_and_format(file, SAMPLE_FORMATS)
    parameters, label = parse_labelled(generator, query, SAMPLE_PARAMETERS)
    return SampleSpec.create(generator, seed, form, label, parse_truncation(parameters))


def parse_array(generator: Generator, query: str, max_seeds: int, are_images: bool) -> ArraySpec:
    """Parse the query string of `images.npy` or `samples.npy` into the spec of an array.

    Args:
        generator: The generator in the URL.
        query: Query string, without "?".
        max_seeds: Largest number of seeds.
        are_images: Whether the URL names images.

    Raises:
        UserError: A part is invalid; `field` names the part.
    """
    (_require_images if are_images else _require_samples)(generator)
    if are_images:
        parameters = parse_query(query, ARRAY_PARAMETERS)
        choice: ClassChoice | None = parse_label(generator, parameters)
    else:
        parameters, choice = parse_labelled(generator, query, ARRAY_PARAMETERS)
    spec = ArraySpec.create(generator, _seeds(parameters, max_seeds), choice, parse_truncation(parameters))
    column = next((name for name in parameters if name not in ARRAY_PARAMETERS), None)
    if column is not None and len(canonical_url(generator, spec)) > _MAX_URL_BYTES:
        message = "the values choose more classes than a URL has room for: give values of more columns, or fewer seeds"
        raise QueryError(message, field=column, reason="too_many_labels")
    return spec


def parse_sheet(generator: Generator, extension: str, query: str) -> SheetSpec:
    """Parse the extension of `grid.{format}` and a query string into the spec of a contact sheet.

    Args:
        generator: The generator in the URL.
        extension: The format.
        query: Query string, without "?".

    Raises:
        UserError: A part is invalid; `field` names the part.
    """
    _require_images(generator)
    require_format(extension, SHEET_FORMATS)
    parameters = parse_query(query, SHEET_PARAMETERS)
    seeds = _seeds(parameters)
    columns, label = integer(parameters, "columns"), parse_label(generator, parameters)
    truncation, scale = parse_truncation(parameters), _scale(parameters)
    return SheetSpec.create(generator, seeds, extension, columns, label, truncation, scale, SHEET_LIMITS)


def parse_walk(generator: Generator, extension: str, query: str) -> WalkSpec:
    """Parse the extension of `walk.{format}` and a query string into the spec of a latent walk.

    Args:
        generator: The generator in the URL.
        extension: The format.
        query: Query string, without "?".

    Raises:
        UserError: A part is invalid; `field` names the part.
    """
    _require_images(generator)
    form = require_format(extension, WALK_FORMATS)
    parameters = parse_query(query, STRIP_PARAMETERS if form == "png" else ANIMATION_PARAMETERS)
    for field in ("from", "to"):
        if field not in parameters:
            raise QueryError("a walk needs two seeds: ?from=1&to=2", field=field, reason="missing")
    start, end = _seed(parameters["from"], "from"), _seed(parameters["to"], "to")
    return WalkSpec.create(
        generator,
        start,
        end,
        form,
        integer(parameters, "frames"),
        parse_label(generator, parameters),
        parse_truncation(parameters),
        _scale(parameters),
        integer(parameters, "duration"),
        integer(parameters, "loop"),
    )


def _require_images(generator: Generator) -> None:
    """Check that a generator produces images; otherwise name the URL of its samples."""
    try:
        require_images(generator)
    except SpecError as error:
        raise SpecError(f"{error}: use {sample_template(generator)}", field=error.field, reason=error.reason) from None


def _require_samples(generator: Generator) -> None:
    """Check that a generator produces samples; otherwise name the URL of its images."""
    try:
        require_samples(generator)
    except SpecError as error:
        raise SpecError(f"{error}: use {image_template(generator)}", field=error.field, reason=error.reason) from None


def _seed_and_format(file: str, formats: tuple[Format, ...]) -> tuple[int, Format]:
    stem, _, extension = file.partition(".")
    form = require_format(extension, formats)
    return _seed(stem, "seed"), form


def _seed(text: str, field: str) -> int:
    try:
        return parse_seed(text)
    except UserError as error:
        error.field = field
        raise


def _seeds(parameters: Parameters, max_seeds: int = SHEET_LIMITS.seeds) -> Seeds:
    try:
        return parse_seeds(parameters.get("seeds", ""), max_seeds)
    except UserError as error:
        error.field = "seeds"
        raise


def _scale(parameters: Parameters) -> int:
    scale = integer(parameters, "scale")
    return 1 if scale is None else scale

"""Parses the path and query of a URL into a spec, strictly: an unknown, repeated or malformed parameter is an error."""

import re
from typing import TypeVar
from urllib.parse import parse_qsl

from seedmint.models.card import NAME_PATTERN
from seedmint.models.errors import UserError
from seedmint.models.runtime.generator_file import DIGEST12
from seedmint.models.seeds import LONGEST_QUOTE, Seeds, parse_seed, parse_seeds, quoted
from seedmint.service.api.urls import (
    ANIMATION_PARAMETERS,
    ARRAY_PARAMETERS,
    IMAGE_PARAMETERS,
    SAMPLE_PARAMETERS,
    SHEET_PARAMETERS,
    STRIP_PARAMETERS,
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
SHEET_LIMITS = SheetLimits(seeds=1024, pixels=1 << 23)

_INTEGER = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_INTEGERS = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:,(?:0|[1-9][0-9]{0,8}))*", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,20})?", re.ASCII)  # enough digits for any double from 0.001 to 1

Parameters = dict[str, str]
Format = TypeVar("Format", bound=str)


class QueryError(UserError):
    """A URL is malformed.

    Attributes:
        reason: "malformed", "missing", "unknown_parameter", "repeated_parameter" or "too_many_parameters".
    """

    reason = "malformed"


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
    label, quality = integer(parameters, "label"), integer(parameters, "quality")
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
    parameters = parse_query(query, SAMPLE_PARAMETERS)
    return SampleSpec.create(generator, seed, form, integer(parameters, "label"), parse_truncation(parameters))


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
    parameters = parse_query(query, ARRAY_PARAMETERS)
    seeds = _seeds(parameters, max_seeds)
    return ArraySpec.create(generator, seeds, integer(parameters, "label"), parse_truncation(parameters))


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
    columns, label = integer(parameters, "columns"), integer(parameters, "label")
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
        integer(parameters, "label"),
        parse_truncation(parameters),
        _scale(parameters),
        integer(parameters, "duration"),
        integer(parameters, "loop"),
    )


def parse_query(query: str, known: tuple[str, ...]) -> Parameters:
    """Parse a query string into parameters by name.

    Args:
        query: Query string, without "?".
        known: Names of the parameters.

    Raises:
        QueryError: A parameter is unknown or repeated, or there are too many parameters.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=2 * len(known) or 1)
    except ValueError:
        raise QueryError("the query has too many parameters", field="query", reason="too_many_parameters") from None
    parameters: Parameters = {}
    for name, value in pairs:
        if name not in known:
            message = f"unknown parameter {quoted(name)}: use {', '.join(known) or 'no parameter'}"
            raise QueryError(message, field=name[:LONGEST_QUOTE], reason="unknown_parameter")
        if name in parameters:
            raise QueryError(f"parameter {name!r} is repeated", field=name, reason="repeated_parameter")
        parameters[name] = value
    return parameters


def integer(parameters: Parameters, name: str) -> int | None:
    """Return an integer parameter; None if the parameter is absent.

    Args:
        parameters: Values by name.
        name: Name of the parameter.

    Raises:
        QueryError: The value is malformed.
    """
    text = parameters.get(name)
    if text is None:
        return None
    if not _INTEGER.fullmatch(text):
        raise QueryError(f"{quoted(text)} is not an integer without sign and leading zeros", field=name)
    return int(text)


def integers(parameters: Parameters, name: str) -> list[int] | None:
    """Return a parameter of integers with commas; None if the parameter is absent.

    Args:
        parameters: Values by name.
        name: Name of the parameter.

    Raises:
        QueryError: The value is malformed.
    """
    text = parameters.get(name)
    if text is None:
        return None
    if not _INTEGERS.fullmatch(text):
        raise QueryError(f"{quoted(text)} is not a list of integers without sign and leading zeros", field=name)
    return [int(number) for number in text.split(",")]


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


def parse_truncation(parameters: Parameters) -> float:
    """Return the parameter `truncation`, or 1.

    Args:
        parameters: Values by name.

    Raises:
        QueryError: The value is malformed.
    """
    text = parameters.get("truncation")
    if text is None:
        return 1.0
    if not _DECIMAL.fullmatch(text):
        raise QueryError(f"{quoted(text)} is not a decimal number like 0.7", field="truncation")
    return float(text)

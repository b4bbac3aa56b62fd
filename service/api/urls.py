"""Addresses: the path and query of one image or sample, parsed strictly, so that what is asked for is never guessed.

Each image has one address: no parameter that says what holds without it, in the order of `PARAMETERS`, each value in its
shortest spelling. `path` gives it; other spellings redirect there.
"""

import re
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl

import numpy as np

from seedmint.models.card import ImageOutput, SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.runtime.generator_file import DIGEST12
from seedmint.models.seeds import LONGEST_QUOTE, parse_seed, quoted
from seedmint.service.encoders.images import ENCODERS, FORMATS, MEDIA_TYPES, Format, max_scale
from seedmint.service.encoders.tabular import SAMPLE_ENCODERS, SAMPLE_FORMATS, SAMPLE_MEDIA_TYPES, SampleFormat
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import Generator, check_truncation

# The routes of single images and samples.
IMAGES = "/v1/models/{name}@{digest}/images/{file}"
SAMPLES = "/v1/models/{name}@{digest}/samples/{file}"

PARAMETERS = ("label", "truncation", "scale")
SAMPLE_PARAMETERS = ("label", "truncation")
_ONES = (("truncation", 1), ("scale", 1))

_Format = TypeVar("_Format", bound=str)

_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,20})?", re.ASCII)  # enough for any double from 0.001 to 1
DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST12}}}", re.ASCII)


class Address(Protocol):
    """What a pinned address names: with its generator's digest, its fields decide what is answered."""

    @property
    def media_type(self) -> str: ...

    @property
    def encoder(self) -> str:
        """What decides the bytes beside the pixels or values."""

    def path(self, generator: Generator) -> str:
        """The one address of it."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image, wholly named: with its generator's digest, these fields decide the pixels."""

    seed: int
    label: int | None
    truncation: float
    scale: int
    format: Format

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]

    @property
    def encoder(self) -> str:
        """What decides the bytes beside the pixels."""
        return ENCODERS[self.format]

    def path(self, generator: Generator) -> str:
        """The one address of this image."""
        query = query_of(label=unless_own(generator, self.seed, self.label), truncation=self.truncation, scale=self.scale)
        return f"{model_path(generator)}/images/{self.seed}.{self.format}{query}"


@dataclass(frozen=True, slots=True)
class SampleAddress:
    """One sample, wholly named: with its generator's digest, these fields decide the values."""

    seed: int
    label: int | None
    truncation: float
    format: SampleFormat

    @property
    def media_type(self) -> str:
        return SAMPLE_MEDIA_TYPES[self.format]

    @property
    def encoder(self) -> str:
        """What decides the bytes beside the values."""
        return SAMPLE_ENCODERS[self.format]

    def path(self, generator: Generator) -> str:
        """The one address of this sample."""
        query = query_of(label=unless_own(generator, self.seed, self.label), truncation=self.truncation)
        return f"{model_path(generator)}/samples/{self.seed}.{self.format}{query}"


def parse_reference(text: str) -> tuple[str, str | None]:
    """`name` or `name@digest12` as (name, digest12 or None).

    Raises:
        Problem: 404, since such a generator cannot be.
    """
    name, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        raise Problem(404, f"digest {quoted(digest)} is not {DIGEST12} hexadecimal digits in lower case", "digest")
    return name, digest if at else None


def parse_image(generator: Generator, file: str, query: str) -> ImageRequest:
    """The image named by `{seed}.{format}` and a query string. A label not asked for is the one the seed names.

    Raises:
        Problem: 400 malformed, 404 unknown format or no generator of images, 422 out of range; `field` says which part.
    """
    output = image_output(generator)
    seed, form = _seed_and_format(file, FORMATS)
    parameters = parse_query(query, PARAMETERS)
    label = _label(generator, seed, parameters)
    return ImageRequest(seed, label, truncation_of(parameters), scale_of(parameters, output), form)


def parse_sample_address(generator: Generator, file: str, query: str) -> SampleAddress:
    """The sample named by `{seed}.{format}` and a query string, as `parse_image` has it.

    Raises:
        Problem: 400 malformed, 404 unknown format or no generator of samples, 422 out of range; `field` says which part.
    """
    if not isinstance(generator.card.output, SampleOutput):
        raise Problem(404, f"generator {generator.name!r} makes images, not samples: ask {image_template(generator)}", "model")
    seed, form = _seed_and_format(file, SAMPLE_FORMATS)
    parameters = parse_query(query, SAMPLE_PARAMETERS)
    return SampleAddress(seed, _label(generator, seed, parameters), truncation_of(parameters), form)


def check_label(generator: Generator, label: int, field: str) -> None:
    """
    Raises:
        Problem: 422, the generator has no such label.
    """
    classes = generator.card.classes
    if classes is None:
        raise Problem(422, f"generator {generator.name!r} takes no label: it is not conditional", field)
    if not 0 <= label < len(classes):
        raise Problem(422, f"label {label} is out of range: 0 to {len(classes) - 1}", field)


def truncation_in_range(truncation: float) -> float:
    """The shortest number that is the same factor.

    Raises:
        Problem: 422, not a factor that z can be multiplied by.
    """
    try:
        return check_truncation(truncation)
    except UserError as error:
        raise Problem(422, str(error), "truncation") from None


def model_path(generator: Generator) -> str:
    """The pinned address of a generator."""
    return f"/v1/models/{generator.name}@{generator.digest12}"


def image_template(generator: Generator) -> str:
    """The pinned addresses of a generator's images, as a URI template (RFC 6570)."""
    parameters = PARAMETERS if generator.card.classes is not None else PARAMETERS[1:]
    return f"{model_path(generator)}/images/{{seed}}.{{format}}{{?{','.join(parameters)}}}"


def sample_template(generator: Generator) -> str:
    """The pinned addresses of a generator's samples, as a URI template (RFC 6570)."""
    parameters = SAMPLE_PARAMETERS if generator.card.classes is not None else SAMPLE_PARAMETERS[1:]
    return f"{model_path(generator)}/samples/{{seed}}.{{format}}{{?{','.join(parameters)}}}"


def image_output(generator: Generator) -> ImageOutput:
    """The output of a generator of images.

    Raises:
        Problem: 404, it makes samples.
    """
    output = generator.card.output
    if not isinstance(output, ImageOutput):
        raise Problem(404, f"generator {generator.name!r} makes samples, not images: ask {sample_template(generator)}", "model")
    return output


def query_of(**parameters: object) -> str:
    """A query string of those parameters that say something: not None, nor the 1 that truncation and scale are without it."""
    told = [f"{name}={value}" for name, value in parameters.items() if value is not None and (name, value) not in _ONES]
    return "?" + "&".join(told) if told else ""


def parse_query(query: str, known: tuple[str, ...]) -> dict[str, str]:
    """Parameters by name.

    Raises:
        Problem: 400, one is not known or given twice, or they are too many.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=2 * len(known))
    except ValueError:
        raise Problem(400, "the query has too many parameters", "query") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise Problem(400, f"parameter {quoted(name)} is not known: {', '.join(known)}", name[:LONGEST_QUOTE])
        if name in found:
            raise Problem(400, f"parameter {name!r} is given twice", name)
        found[name] = value
    return found


def parse_format(extension: str, formats: tuple[_Format, ...]) -> _Format:
    """The format that stands after the dot.

    Raises:
        Problem: 404, it is none of them.
    """
    form = next((known for known in formats if known == extension), None)
    if form is None:
        raise Problem(404, f"format {quoted(extension)} is not known: write {', '.join(formats)} after the dot", "format")
    return form


def seed_of(text: str, field: str) -> int:
    """
    Raises:
        Problem: 400 malformed, 422 out of range.
    """
    try:
        return parse_seed(text)
    except UserError as error:
        raise Problem.of(error, field) from None


def label_of(generator: Generator, parameters: dict[str, str]) -> int | None:
    """The label that is asked for, if one is.

    Raises:
        Problem: 400 malformed, 422 the generator has no such label.
    """
    if "label" not in parameters:
        return None
    label = whole("label", parameters["label"])
    check_label(generator, label, "label")
    return label


def own_label(generator: Generator, seed: int) -> int | None:
    """The label that a seed names, of a conditional generator."""
    named = generator.labels(np.array([seed], np.int64))
    return None if named is None else int(named[0])


def unless_own(generator: Generator, seed: int, label: int | None) -> int | None:
    """A label as an address tells it: not if the seed names it."""
    return None if label == own_label(generator, seed) else label


def truncation_of(parameters: dict[str, str]) -> float:
    """
    Raises:
        Problem: 400 malformed, 422 out of range.
    """
    return truncation_in_range(_decimal("truncation", parameters["truncation"])) if "truncation" in parameters else 1.0


def scale_of(parameters: dict[str, str], output: ImageOutput) -> int:
    """
    Raises:
        Problem: 400 malformed, 422 out of range.
    """
    scale = whole("scale", parameters["scale"]) if "scale" in parameters else 1
    largest = max_scale(output)
    if not 1 <= scale <= largest:
        raise Problem(422, f"scale {scale} is out of range: 1 to {largest} for images of this generator", "scale")
    return scale


def whole(name: str, text: str) -> int:
    """
    Raises:
        Problem: 400 malformed.
    """
    if not _WHOLE.fullmatch(text):
        raise Problem(400, f"{name} {quoted(text)} is not a whole number without sign or leading zeros", name)
    return int(text)


def _seed_and_format(file: str, formats: tuple[_Format, ...]) -> tuple[int, _Format]:
    stem, _, extension = file.partition(".")
    form = parse_format(extension, formats)
    return seed_of(stem, "seed"), form


def _label(generator: Generator, seed: int, parameters: dict[str, str]) -> int | None:
    asked = label_of(generator, parameters)
    return own_label(generator, seed) if asked is None else asked


def _decimal(name: str, text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise Problem(400, f"{name} {quoted(text)} is not a decimal number like 0.7", name)
    return float(text)

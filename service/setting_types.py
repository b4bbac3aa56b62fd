"""Types of settings, and the checks of their values."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, IPvAnyNetwork

from seedmint.models.card import NAME_PATTERN
from seedmint.models.errors import one_line
from seedmint.models.places import is_possible_path, is_url, is_web_file, place_name, split_places
from seedmint.models.seeds import quoted


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _places(value: object) -> object:
    if isinstance(value, Path):
        return (str(value),)
    return split_places(value) if isinstance(value, str) else value


def _check_place(place: str) -> str:
    if not is_url(place) and not is_possible_path(absolute(place)):
        raise ValueError(f"{one_line(place, 40)} is not a path that a folder can have")
    if "," in absolute(place):  # workers receive absolute paths
        raise ValueError(f"{absolute(place)!r} has a comma, which separates places: use a folder whose path has none")
    if is_web_file(place) and not urlsplit(place).path.endswith(".onnx"):
        raise ValueError(f"{place_name(place)} is not the URL of a generator file: it must end with /NAME.onnx")
    if is_web_file(place) and "@" in urlsplit(place).netloc:
        raise ValueError(f"{place_name(place)} has a user or password: use a signed URL, or a store such as s3://bucket/prefix")
    if "::" in place:
        raise ValueError(f"{place} is a chain of URLs: use one URL, such as s3://bucket/prefix, or a folder")
    return place


def _check_name(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name, re.ASCII):
        raise ValueError(f"{quoted(name)} is not the name of a generator: use lower-case letters, digits, '-', '_' and '.'")
    return name


def absolute(location: str) -> str:
    """Return a URL unchanged, and a path as an absolute path.

    Args:
        location: A path or a URL.
    """
    return location if "://" in location else str(Path(location).absolute())


def _check_origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"{text!r} is not an origin: use * or scheme://host[:port] in lower case, without a path")
    return text


def _check_prefix(text: str) -> str:
    if not PATH_PREFIX.fullmatch(text):
        raise ValueError(f"{text!r} is not a path prefix: start with /, and end without /")
    return text


PATH_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+){0,16}", re.ASCII)
_ORIGIN = re.compile(r"\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?", re.ASCII)
Origins = Annotated[tuple[Annotated[str, AfterValidator(_check_origin)], ...], BeforeValidator(_split)]
Prefix = Annotated[str, AfterValidator(_check_prefix)]
Names = Annotated[tuple[Annotated[str, AfterValidator(_check_name)], ...], BeforeValidator(_split)]
Places = Annotated[tuple[Annotated[str, AfterValidator(_check_place)], ...], BeforeValidator(_places)]
Location = Annotated[str, AfterValidator(absolute)]
Networks = Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_split)]

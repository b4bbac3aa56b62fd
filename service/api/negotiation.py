"""Chooses a format by the header Accept (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from seedmint.service.problems import Problem

Format = TypeVar("Format", bound=str)

_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)
_MAX_RANGES = 64


def negotiate(accept: Sequence[str], media_types: Mapping[Format, str], by_range: Format) -> Format:
    """Return the format that a client prefers.

    Args:
        accept: The values of all Accept headers; empty accepts everything.
        media_types: Media types of the formats, in the order of the server's preference.
        by_range: The format for a client that names only ranges, such as `*/*`.

    Raises:
        Problem: 406, the client accepts none of the formats.
    """
    ranges = _parse(",".join(accept)) or {"*/*": 1.0}
    exact: dict[Format, float] = {}
    weights: dict[Format, float] = {}
    for form, text in media_types.items():
        media_type = text.partition(";")[0]
        if media_type in ranges:
            exact[form] = weights[form] = ranges[media_type]
        else:
            weights[form] = ranges.get(f"{media_type.partition('/')[0]}/*", ranges.get("*/*", 0.0))
    best = max(weights.values())
    if best == 0:
        accepted = ", ".join(text.partition(";")[0] for text in media_types.values())
        raise Problem(406, f"none of the formats is acceptable: accept one of {accepted}", "Accept")
    named = [form for form, weight in exact.items() if weight == best]
    if named:
        return named[0]
    return by_range if weights[by_range] == best else next(form for form, weight in weights.items() if weight == best)


def _parse(value: str) -> dict[str, float]:
    """Return the weight of each media range. Malformed ranges are ignored."""
    ranges: dict[str, float] = {}
    for part in value.split(",")[:_MAX_RANGES]:
        media_type, *parameters = (text.strip() for text in part.split(";"))
        if "/" not in media_type:
            continue
        weights = [match[1] for text in parameters if (match := _WEIGHT.fullmatch(text))]
        ranges[media_type.lower()] = float(weights[0]) if weights else 1.0
    return ranges

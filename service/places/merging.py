"""Several places as one: of two files of one name, the file of the earlier place counts. So it is with pins of versions."""

from collections.abc import Mapping
from typing import TypeVar

_Value = TypeVar("_Value")


def merge(places: Mapping[int, Mapping[str, _Value]]) -> dict[str, tuple[int, _Value]]:
    """Return what the first place that knows a name says about the name, with the position of that place.

    The server and the commands merge the files of their places, and the pins of the files `aliases`, by this function.

    Args:
        places: Values by name of each place, by the position of the place. Places that cannot be read are absent.
    """
    merged: dict[str, tuple[int, _Value]] = {}
    for position, values in sorted(places.items(), key=lambda item: item[0]):
        for name, value in values.items():
            merged.setdefault(name, (position, value))
    return merged


def merge_pins(places: Mapping[int, Mapping[str, str]]) -> dict[str, str]:
    """Return the digest of the version that each name is pinned to, or its first digits.

    Args:
        places: Pins of each place, by the position of the place.
    """
    return {name: digest for name, (_, digest) in merge(places).items()}

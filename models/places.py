"""The places of generator files in `SEEDMINT_MODELS`: folders and URLs, separated by commas."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from seedmint.models.errors import UserError

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII)
_MAX_PATH_BYTES, _MAX_NAME_BYTES = 4095, 255  # of Linux; other systems allow less, or the same


def split_places(text: str) -> tuple[str, ...]:
    """Return the places of a text, without empty ones.

    Args:
        text: Folders and URLs, separated by commas.
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def is_url(place: str) -> bool:
    """Return whether a place is a URL, and not a folder.

    Args:
        place: A folder or a URL.
    """
    return _URL.match(place) is not None


def is_web_file(place: str) -> bool:
    """Return whether a place is one file on a web server.

    Args:
        place: A folder or a URL.
    """
    return place.startswith(("https://", "http://"))


def is_possible_path(path: str | Path) -> bool:
    """Return whether a file can have a path: without NUL bytes and half surrogates, and of an allowed length.

    Args:
        path: The path. Calls of the operating system with an impossible path raise errors that do not name the path, or no
            `OSError`.
    """
    try:
        encoded = os.fsencode(path)
        is_short = len(encoded) <= _MAX_PATH_BYTES and all(
            len(os.fsencode(part)) <= _MAX_NAME_BYTES for part in Path(path).parts
        )
    except UnicodeEncodeError:
        return False
    return is_short and b"\0" not in encoded


def place_name(place: str) -> str:
    """Return the name of a place in logs and metrics: without user, password and query, which may be secret.

    Args:
        place: A folder or a URL.
    """
    if not is_web_file(place):
        return place
    scheme, _, rest = place.partition("://")  # `urlsplit` refuses some wrong URLs, which errors have to name
    host, slash, path = re.split("[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def first_folder(places: Iterable[str]) -> Path:
    """Return the first folder of the places, where new generators are written.

    Args:
        places: Folders and URLs.

    Raises:
        UserError: All places are URLs.
    """
    for place in places:
        if not is_url(place):
            return Path(place)
    raise UserError(
        "all places are URLs: name a folder, or use `seedmint models push` and `seedmint models pull`",
        field="models",
        reason="no_folder",
    )


def default_cache() -> Path:
    """Return the directory that keeps generator files of URLs."""
    from platformdirs import user_cache_path

    return user_cache_path("seedmint") / "generators"

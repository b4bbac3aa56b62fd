"""The file `aliases` of a place: which version of a generator its unpinned URLs lead to.

Each line is `NAME = NAME@DIGEST`, with 12 to 64 digits of the SHA-256. Empty lines and lines that begin with # are ignored.
"""

import re

from seedmint.models.errors import UserError, one_line

_LINE = re.compile(r"(?P<name>[^\s=@#]+)\s*=\s*(?P<target>[^\s=@]+)@(?P<digest>[0-9a-f]{12,64})", re.ASCII)


def parse_aliases(text: str) -> dict[str, str]:
    """Return the digest of the version that each name is pinned to, or its first digits.

    Args:
        text: Content of the file.

    Raises:
        UserError: A line is invalid.
    """
    pins: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise _error(number, f"write NAME = NAME@DIGEST, not {one_line(stripped, 80)!r}", "invalid_line")
        if match["name"] != match["target"]:
            raise _error(number, f"{match['name']} cannot lead to another generator, {match['target']}", "other_name")
        if match["name"] in pins:
            raise _error(number, f"{match['name']} has a line already", "repeated_name")
        pins[match["name"]] = match["digest"]
    return pins


def _error(number: int, text: str, reason: str) -> UserError:
    return UserError(f"line {number}: {text}", field="aliases", reason=reason)

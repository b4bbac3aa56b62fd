"""API keys: known by their SHA-256 alone, so that neither a file nor an environment gives one away.

A key is 256 random bits, which needs no salt and no slow hash: there is nothing to guess.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from hmac import compare_digest

from seedmint.models.errors import UserError
from seedmint.models.seeds import quoted
from seedmint.service.settings import Settings, SettingsError, variable

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BEARER = b"bearer "


class Keyring:
    """Keys by name. A name may have several, so that one can be replaced without a gap."""

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        """
        Args:
            lines: `name:sha256hex` of each key, and where it stands.

        Raises:
            SettingsError: a line is something else. It may be a key, and is not quoted.
        """
        self._keys: list[tuple[bytes, str]] = []
        for line, place in lines:
            name, _, digest = line.partition(":")
            if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
                raise SettingsError(f"{place} is not name:sha256, the line that `seedmint keys new NAME` prints")
            self._keys.append((bytes.fromhex(digest), name))

    def name_of(self, key: bytes) -> str | None:
        """The name of a key, or None for one that is not here. Takes as long for the one as for the other."""
        digest = hashlib.sha256(key).digest()
        found = None
        for known, name in self._keys:
            if compare_digest(known, digest):
                found = name
        return found


def read_keyring(settings: Settings) -> Keyring | None:
    """The keys that the settings hold, or None if they ask for none.

    Raises:
        SettingsError: the file cannot be read, there is no key in it, or something that is none.
    """
    lines: list[tuple[str, str]] = []
    if settings.api_keys is not None:
        parts = [part.strip() for part in settings.api_keys.split(",")]
        lines += [(part, f"{variable('api_keys')}: entry {i}") for i, part in enumerate(parts, 1)]
    if settings.api_keys_file is not None:
        place = variable("api_keys_file")
        try:
            text = settings.api_keys_file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise SettingsError(f"{place}: the file is not UTF-8 text") from None
        except OSError as error:
            raise SettingsError(f"{place}: the file cannot be read: {error.strerror}") from None
        written = [(line.strip(), f"{place}: line {i}") for i, line in enumerate(text.splitlines(), 1)]
        there = [(line, its) for line, its in written if line and not line.startswith("#")]
        if not there:
            raise SettingsError(f"{place}: the file holds no key: add one with `seedmint keys new NAME`")
        lines += there
    return Keyring(lines) if lines else None


def new_key(name: str) -> tuple[str, str]:
    """A fresh key, and the line to keep of it.

    Raises:
        UserError: the name will not do.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"name {quoted(name)}: write 1 to 64 lower-case letters, digits, '.', '_' or '-', a letter or digit first"
        )
    key = f"sm_{secrets.token_urlsafe(32)}"
    return key, f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"


def presented(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The key that a request comes with: of `Authorization: Bearer`, else of `X-API-Key`."""
    other = None
    for name, value in headers:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip()
        if name == b"x-api-key":
            other = value.strip()
    return other

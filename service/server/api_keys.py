"""API keys. Files and environment variables contain only the SHA-256 digests of the keys.

A key has 256 random bits. It cannot be guessed, and therefore needs neither a salt nor a slow hash. The same files may contain
signing keys for signed URLs (`url_signatures.py`), which are secret.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from hmac import compare_digest
from pathlib import Path

from seedmint.models.errors import UserError
from seedmint.models.seeds import quoted
from seedmint.service.server.url_signatures import SigningKey, new_signing_line, parse_signing_line
from seedmint.service.settings import Settings, SettingsError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BEARER = b"bearer "

Entry = tuple[str, str, str]
"""A line `name:sha256hex`, the setting that contains the line, and the position of the line."""


class Keyring:
    """The API keys of a server. Several keys may have the same name, so that a key can be replaced without interruption.

    Attributes:
        signing_keys: Names and secrets of the signing keys.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        """
        Args:
            entries: For each key its line `name:sha256hex` or `name:hmac:secret`, the setting that contains the line, and the
                position of the line.

        Raises:
            SettingsError: A line is malformed; `field` is its setting. The message omits the line, which may be a key.
        """
        self._keys: list[tuple[bytes, str]] = []
        self.signing_keys: list[SigningKey] = []
        for line, field, position in entries:
            signing_key = parse_signing_line(line)
            if signing_key is not None:
                self.signing_keys.append(signing_key)
                continue
            name, _, digest = line.partition(":")
            if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
                message = f"{position} is not name:sha256, the line that `seedmint keys new NAME` prints"
                raise SettingsError(message, field=field, reason="not_a_key_line")
            self._keys.append((bytes.fromhex(digest), name))

    def name_of(self, key: bytes) -> str | None:
        """Return the name of a key, or None for an unknown key. Both cases take the same time.

        Args:
            key: The key that a client sent.
        """
        digest = hashlib.sha256(key).digest()
        found = None
        for known, name in self._keys:
            if compare_digest(known, digest):
                found = name
        return found


def read_keyring(settings: Settings) -> Keyring | None:
    """Return the API keys of the settings, or None if requests need no key.

    Args:
        settings: The settings of the server.

    Raises:
        SettingsError: The key file cannot be read or contains no key, or a line is invalid; `field` is the setting.
    """
    entries = key_entries(settings)
    return Keyring(entries) if entries else None


def key_entries(settings: Settings) -> list[Entry]:
    """Return the lines of all API keys of the settings, not checked.

    Args:
        settings: The settings of the server.

    Raises:
        SettingsError: The key file cannot be read or contains no key; `field` is the setting.
    """
    entries: list[Entry] = []
    if settings.api_keys is not None:
        parts = [part.strip() for part in settings.api_keys.split(",")]
        entries += [(part, "api_keys", f"entry {number}") for number, part in enumerate(parts, 1)]
    if settings.api_keys_file is not None:
        entries += _read_key_file(settings)
    return entries


def _read_key_file(settings: Settings) -> list[Entry]:
    """Return the entries of the key file: its lines without empty lines and comments.

    Raises:
        SettingsError: The file cannot be read, or contains no key.
    """
    assert settings.api_keys_file is not None
    field = "api_keys_file"
    try:
        text = settings.api_keys_file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError("the file is not UTF-8 text", field=field, reason="not_text") from None
    except OSError as error:
        raise SettingsError(f"cannot read the file: {error.strerror}", field=field, reason="unreadable") from None
    lines = [(line.strip(), f"line {number}") for number, line in enumerate(text.splitlines(), 1)]
    entries = [(line, field, position) for line, position in lines if line and not line.startswith("#")]
    if not entries:
        message = "the file contains no key: add a line of `seedmint keys new NAME`"
        raise SettingsError(message, field=field, reason="empty")
    return entries


def new_key(name: str) -> tuple[str, str]:
    """Return a new API key, and its line `name:sha256hex` for the server.

    Args:
        name: Name of the client.

    Raises:
        UserError: The name is invalid.
    """
    _check_name(name)
    key = f"sm_{secrets.token_urlsafe(32)}"
    return key, f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"


def new_signing_key(name: str) -> str:
    """Return the line `name:hmac:secret` of a new signing key, for the server and for whoever signs URLs.

    Args:
        name: Name of the key, which URLs show.

    Raises:
        UserError: The name is invalid.
    """
    _check_name(name)
    return new_signing_line(name)


def signing_keys_of(path: Path) -> list[str]:
    """Return the lines of the signing keys of a key file.

    Args:
        path: The file.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = (error.strerror if isinstance(error, OSError) else None) or "not UTF-8 text"
        raise UserError(f"cannot read the file: {message}", field="file", reason="unreadable") from None
    return [line.strip() for line in text.splitlines() if parse_signing_line(line.strip())]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        rule = "use 1 to 64 lower-case letters, digits, '.', '_' or '-', and start with a letter or a digit"
        raise UserError(f"{quoted(name)} is invalid: {rule}", field="name", reason="invalid_name")


def key_from_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the API key of a request, from `Authorization: Bearer` or otherwise from `X-API-Key`.

    Args:
        headers: The headers of the request, with names in lower case.
    """
    other = None
    for name, value in headers:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip()
        if name == b"x-api-key":
            other = value.strip()
    return other

"""Signed URLs: a URL that needs no API key, for one path and query, until it expires.

The signature is an HMAC-SHA256 with a signing key, which the server and the signer share. It covers the path, the query, the
name of the key and the time of expiry. Percent-encoding and the order of the parameters do not matter, because proxies and
caches change both. A prefix in front of `/v1/` does not matter either, because proxies add and remove it.
"""

import hmac
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from seedmint.models.errors import UserError

EXPIRES, KEY, SIGNATURE = "expires", "key", "signature"
_OWN = frozenset({EXPIRES, KEY, SIGNATURE})
_API = "/v1/"
_MARK = "hmac:"
_SIGNING_LINE = re.compile(r"([a-z0-9][a-z0-9._-]{0,63}):hmac:([0-9a-f]{64})", re.ASCII)
_EXPIRES = re.compile(r"[0-9]{1,12}", re.ASCII)

Pairs = Sequence[tuple[str, str]]
SigningKey = tuple[str, bytes]
"""Name and secret."""


def new_signing_line(name: str) -> str:
    """Return the line `name:hmac:secret` of a new signing key.

    Args:
        name: Name of the key, which URLs show.
    """
    return f"{name}:{_MARK}{secrets.token_hex(32)}"


def parse_signing_line(line: str) -> SigningKey | None:
    """Return the name and the secret of a line `name:hmac:secret`; None for another line.

    Args:
        line: The line.
    """
    found = _SIGNING_LINE.fullmatch(line)
    return (found[1], bytes.fromhex(found[2])) if found else None


def sign_url(url: str, key: str, seconds: int = 3600) -> str:
    """Return a URL that anyone can open until it expires.

    Args:
        url: URL or path of a resource of a server, such as `https://images.example/v1/models/mnist/images/42.png`.
        key: Line `name:hmac:secret` of `seedmint keys new NAME --signing`. The server must have the same line.
        seconds: Time from now until the URL expires. Servers refuse more than their `SEEDMINT_MAX_SIGNED_SECONDS`.

    Returns:
        The URL with the parameters `expires`, `key` and `signature`, and all parameters in alphabetical order.

    Raises:
        UserError: The key is not a signing key, the URL has no path or is signed already, or `seconds` is not positive.
    """
    signing_key = parse_signing_line(key.strip())
    if signing_key is None:
        cure = "use a line `name:hmac:secret`, which `seedmint keys new` writes for signing"
        raise UserError(f"not a signing key: {cure}", field="key", reason="not_a_signing_key")
    if seconds < 1:
        raise UserError("must be at least 1 second", field="seconds", reason="out_of_range")
    parts = urlsplit(url)
    pairs = split_query(parts.query)
    if not parts.path.startswith("/"):
        raise UserError("the URL has no path", field="url", reason="malformed")
    if any(unquote(name) in _OWN for name, _ in pairs):
        raise UserError("the URL is signed already", field="url", reason="already_signed")
    query = signed_query(parts.path, pairs, signing_key, int(time.time()) + seconds)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def signed_query(path: str, pairs: Pairs, key: SigningKey, expires: int) -> str:
    """Return a query string with the signature.

    Args:
        path: Path of the URL.
        pairs: Names and values of the other parameters, as the URL writes them.
        key: The signing key.
        expires: When the URL expires, in seconds since 1970.
    """
    name, secret = key
    signed = [*pairs, (EXPIRES, str(expires)), (KEY, name)]
    signature = hmac.digest(secret, _message(path, signed), "sha256").hex()
    return join_query(sorted([*signed, (SIGNATURE, signature)], key=lambda pair: pair[0]))


def split_query(query: str) -> list[tuple[str, str]]:
    """Return the names and values of a query string, as they are written.

    Args:
        query: Query string, without "?".
    """
    return [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]


def join_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a query string.

    Args:
        pairs: Names and values, as the query string writes them.
    """
    return "&".join(f"{name}={value}" for name, value in pairs)


class SignatureError(Exception):
    """A signed URL is refused.

    Attributes:
        reason: A stable code for programs.
    """

    def __init__(self, message: str, reason: str) -> None:
        """
        Args:
            message: Why the URL is refused.
            reason: A stable code for programs.
        """
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A signed URL with a valid signature.

    Attributes:
        key: The signing key.
        expires: When the URL expires, in seconds since 1970.
        query: Query string without the parameters of the signature.
    """

    key: SigningKey
    expires: int
    query: str

    def sign_again(self, location: str) -> str:
        """Return another URL of the server with the same key and the same expiry, for a redirect.

        Args:
            location: Path and query.
        """
        path, _, query = location.partition("?")
        return f"{path}?{signed_query(path, split_query(query), self.key, self.expires)}"


def verify(path: str, query: str, keys: Sequence[SigningKey], max_seconds: int, now: float) -> SignedUrl:
    """Check a signed URL.

    Args:
        path: Path of the URL.
        query: Query string, with the parameter `signature`.
        keys: The signing keys of the server. Several keys may have the same name.
        max_seconds: Maximum time until a URL expires.
        now: The time in seconds since 1970.

    Returns:
        The key, the expiry, and the rest of the query.

    Raises:
        SignatureError: A parameter is missing, malformed or repeated; the signature is wrong; or the URL has expired, or
            expires too late.
    """
    pairs = split_query(query)
    own = [(name, value) for name, value in pairs if name in _OWN]
    values = dict(own)
    expires = values.get(EXPIRES, "")
    if len(own) != len(_OWN) or values.keys() != _OWN or not _EXPIRES.fullmatch(expires):
        rule = "a signed URL has the parameters expires, key and signature, each once"
        raise SignatureError(rule, "malformed_signature")
    message = _message(path, [pair for pair in pairs if pair[0] != SIGNATURE])
    found: SigningKey | None = None
    for key in keys:  # all keys, so that the time does not show which names exist
        is_equal = compare_digest(hmac.digest(key[1], message, "sha256").hex().encode(), values[SIGNATURE].encode())
        if is_equal and compare_digest(key[0].encode(), values[KEY].encode()):
            found = key
    if found is None:
        raise SignatureError("the signature is wrong, or its key is unknown", "wrong_signature")
    rest = int(expires) - now
    if rest <= 0:
        raise SignatureError("the signed URL has expired", "expired_signature")
    if rest > max_seconds:
        raise SignatureError(f"a signed URL must expire within {max_seconds} seconds", "expires_too_late")
    return SignedUrl(found, int(expires), join_query(pair for pair in pairs if pair[0] not in _OWN))


def _message(path: str, pairs: Pairs) -> bytes:
    """Return what the signature covers. The form is unique: each part is percent-encoded in full, and parameters are sorted."""
    path = unquote(path)
    path = path[max(0, path.find(_API)) :]
    lines = sorted(f"{_encode(name)}={_encode(value)}" for name, value in pairs)
    return "\n".join([_encode(path), *lines]).encode()


def _encode(text: str) -> str:
    return quote(unquote(text), safe="")

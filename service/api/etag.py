"""Entity tags, computed without generating the response.

A tag names the outcome of the generator's check on this machine. Two machines give the same strong tag only if both compute the
outputs of the reference.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from seedmint.service.runtime.generator import Generator

_TAG = re.compile(r'(?:W/)?("[^"]*")')


class Encoded(Protocol):
    """A spec with an encoder."""

    @property
    def encoder(self) -> str:
        """Name and version of the encoder."""


def immutable(private: bool) -> str:
    """Return the Cache-Control of a response that never changes.

    Args:
        private: Whether only the cache of the client may store the response. True if requests need an API key.
    """
    return f"{'private' if private else 'public'}, max-age=31536000, immutable"


def entity_tag(generator: Generator, spec: Encoded, url: str) -> str:
    """Return the ETag of an immutable response.

    The tag is strong if the generator is exact. Otherwise the tag is weak and names the outputs of this machine.

    Args:
        generator: The generator.
        spec: Spec of the response.
        url: The canonical URL of the response.
    """
    determinism = generator.determinism
    state = _hash_state(generator.digest, determinism, generator.check.outputs, spec.encoder).copy()
    state.update(url.encode())
    tag = state.hexdigest()
    return f'"{tag}"' if determinism == "exact" else f'W/"{tag}"'


def exact_tag(encoder: str, content: bytes) -> str:
    """Return the strong ETag of a response that is the same on every machine.

    Args:
        encoder: Name and version of the encoder.
        content: The body of the response.
    """
    return f'"{hashlib.blake2b(encoder.encode() + content, digest_size=16).hexdigest()}"'


@lru_cache(1024)
def _hash_state(digest: str, determinism: str, outputs: str, encoder: str) -> "hashlib.blake2b":
    return hashlib.blake2b(repr((digest, determinism, outputs, encoder)).encode(), digest_size=16)


def is_current(if_none_match: Sequence[bytes], tag: str) -> bool:
    """Return whether the copy of the client is current, by the weak comparison of RFC 9110, section 13.1.2.

    Args:
        if_none_match: The values of all If-None-Match headers.
        tag: The ETag of the response.
    """
    if not if_none_match:
        return False
    value = b",".join(if_none_match).decode("latin-1")
    return value.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(value)

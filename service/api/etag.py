"""Entity tags, computed without generating the response. Responses with equal tags have equal bytes."""

import hashlib
import platform
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import onnxruntime

from seedmint.service.runtime.generator import Generator

# The machine and the library that compute the pixels. Other versions may produce other bytes.
_MACHINE = f"{platform.machine()} onnxruntime-{onnxruntime.__version__}"
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
    """Return the ETag of an immutable response: strong if the generator is exact, weak if it is approximate.

    Args:
        generator: The generator.
        spec: Spec of the response.
        url: The canonical URL of the response.
    """
    state = _hash_state(generator.digest, generator.provider, spec.encoder).copy()
    state.update(url.encode())
    tag = state.hexdigest()
    return f'"{tag}"' if generator.determinism == "exact" else f'W/"{tag}"'


@lru_cache(1024)
def _hash_state(digest: str, provider: str, encoder: str) -> "hashlib.blake2b":
    return hashlib.blake2b(repr((digest, provider, _MACHINE, encoder)).encode(), digest_size=16)


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

"""Entity tags: when two answers are the same bytes, decided without making them."""

import hashlib
import platform
import re
from functools import lru_cache

import onnxruntime

from seedmint.service.api.urls import Address
from seedmint.service.runtime.generator import Generator

# What may change bytes without changing an address: the machine and the libraries that compute and encode.
_MACHINE = f"{platform.machine()} onnxruntime-{onnxruntime.__version__}"
_TAG = re.compile(r'(?:W/)?("[^"]*")')


def immutable(private: bool) -> str:
    """The Cache-Control of what never changes: for any cache, or for the client's own alone where a key is needed."""
    return f"{'private' if private else 'public'}, max-age=31536000, immutable"


def entity_tag(generator: Generator, asked: Address, path: str | None = None) -> str:
    """The ETag of what an address names: strong where the generator is exact, weak where it may differ from batch to batch.

    Args:
        path: the one address of it, where that is known already.
    """
    hashed = _begun(generator.digest, generator.provider, asked.encoder).copy()
    hashed.update((path or asked.path(generator)).encode())
    tag = hashed.hexdigest()
    return f'"{tag}"' if generator.determinism == "exact" else f'W/"{tag}"'


@lru_cache(1024)
def _begun(digest: str, provider: str, encoder: str) -> "hashlib.blake2b":
    return hashlib.blake2b(repr((digest, provider, _MACHINE, encoder)).encode(), digest_size=16)


def not_modified(if_none_match: str, tag: str) -> bool:
    """Whether the client's copy is current, by the weak comparison of RFC 9110. Several header lines come joined by commas."""
    return if_none_match.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(if_none_match)

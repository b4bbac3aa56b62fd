"""The specification and the reference page as they are sent: written once for the generators that are served, and kept."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from seedmint.service.api.openapi.reference import reference
from seedmint.service.api.openapi.specification import specification
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings


@dataclass(frozen=True, slots=True)
class Document:
    """What is sent.

    Attributes:
        tag: its ETag, by its content.
    """

    content: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class Documents:
    """Both of them."""

    specification: Document
    reference: Document


class Writer:
    """Writes them when the generators have changed. It takes tens of milliseconds, in a thread. Lives on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._one_at_a_time = asyncio.Lock()
        self._digests: list[str] | None = None
        self._documents: Documents

    async def documents(self, generators: Sequence[Generator]) -> Documents:
        """Those of the generators served now."""
        async with self._one_at_a_time:
            if self._digests != (digests := [generator.digest for generator in generators]):
                self._documents = await asyncio.to_thread(_written, generators, self._settings)
                self._digests = digests
            return self._documents


def _written(generators: Sequence[Generator], settings: Settings) -> Documents:
    document = specification(generators, settings)
    return Documents(_document(json.dumps(document, ensure_ascii=False)), _document(reference(document)))


def _document(text: str) -> Document:
    content = text.encode()
    return Document(content, f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"')

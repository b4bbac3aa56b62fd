"""The OpenAPI document as bytes, cached until the generators change."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from seedmint.service.api.openapi.operations import Operation
from seedmint.service.api.openapi.specification import specification
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings

_MAX_PREFIXES = 16  # a trusted proxy can name any prefix


@dataclass(frozen=True, slots=True)
class Document:
    """A response body.

    Attributes:
        content: The body.
        tag: ETag: a hash of the body.
    """

    content: bytes
    tag: str


class DocumentWriter:
    """Writes the document when the generators have changed: tens of milliseconds, in a thread. Lives on one event loop."""

    def __init__(self, settings: Settings, operations: Sequence[tuple[str, Operation]]) -> None:
        """
        Args:
            settings: The settings of the service.
            operations: Path template and operation of each route.
        """
        self._settings = settings
        self._operations = operations
        self._lock = asyncio.Lock()
        self._digests: list[str] | None = None
        self._documents: dict[str, Document] = {}  # by prefix

    async def document(self, generators: Sequence[Generator], prefix: str = "") -> Document:
        """Return the document of the generators that are served now.

        Args:
            generators: The generators.
            prefix: Path prefix of all URLs.
        """
        async with self._lock:
            digests = [generator.digest for generator in generators]
            if self._digests != digests or len(self._documents) >= _MAX_PREFIXES:
                self._documents.clear()
                self._digests = digests
            if prefix not in self._documents:
                self._documents[prefix] = await asyncio.to_thread(self._write, generators, prefix)
            return self._documents[prefix]

    def _write(self, generators: Sequence[Generator], prefix: str) -> Document:
        text = json.dumps(specification(generators, self._settings, self._operations, prefix), ensure_ascii=False)
        content = text.encode()
        return Document(content, f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"')

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
        self._document: Document

    async def document(self, generators: Sequence[Generator]) -> Document:
        """Return the document of the generators that are served now.

        Args:
            generators: The generators.
        """
        async with self._lock:
            if self._digests != (digests := [generator.digest for generator in generators]):
                self._document = await asyncio.to_thread(self._write, generators)
                self._digests = digests
            return self._document

    def _write(self, generators: Sequence[Generator]) -> Document:
        text = json.dumps(specification(generators, self._settings, self._operations), ensure_ascii=False)
        content = text.encode()
        return Document(content, f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"')

"""The OpenAPI document and the reference page as bytes, cached until the generators change."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from seedmint.service.api.openapi.operations import Operation
from seedmint.service.api.openapi.reference import reference
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


@dataclass(frozen=True, slots=True)
class Documents:
    """The OpenAPI document and the reference page.

    Attributes:
        specification: The OpenAPI document as JSON.
        reference: The reference page as HTML.
    """

    specification: Document
    reference: Document


class DocumentWriter:
    """Writes the documents when the generators have changed: tens of milliseconds, in a thread. Lives on one event loop."""

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
        self._documents: Documents

    async def documents(self, generators: Sequence[Generator]) -> Documents:
        """Return the documents of the generators that are served now.

        Args:
            generators: The generators.
        """
        async with self._lock:
            if self._digests != (digests := [generator.digest for generator in generators]):
                self._documents = await asyncio.to_thread(self._write, generators)
                self._digests = digests
            return self._documents

    def _write(self, generators: Sequence[Generator]) -> Documents:
        document = specification(generators, self._settings, self._operations)
        return Documents(_document(json.dumps(document, ensure_ascii=False)), _document(reference(document)))


def _document(text: str) -> Document:
    content = text.encode()
    return Document(content, f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"')

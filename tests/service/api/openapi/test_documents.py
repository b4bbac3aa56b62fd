"""The OpenAPI document is written once for the same generators, also for concurrent requests."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from seedmint.service.api.openapi import documents
from seedmint.service.api.openapi.documents import Document, DocumentWriter
from seedmint.service.api.openapi.operations import Operation
from seedmint.service.api.openapi.specification import specification
from seedmint.service.api.routing.routes import operations
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings

OPERATIONS = operations(Settings())


def test_the_document_is_written_only_when_the_generators_change(
    monkeypatch: pytest.MonkeyPatch, grey: Generator, rgb: Generator
):
    written = []

    def count_and_write(
        generators: Sequence[Generator], settings: Settings, operations: Sequence[tuple[str, Operation]], prefix: str
    ) -> dict[str, Any]:
        written.append([generator.name for generator in generators])
        return specification(generators, settings, operations, prefix)

    monkeypatch.setattr(documents, "specification", count_and_write)

    async def scenario() -> list[Document]:
        writer = DocumentWriter(Settings(), OPERATIONS)
        concurrent = await asyncio.gather(*(writer.document([grey]) for _ in range(8)))
        later = [await writer.document(served) for served in ([grey], [grey, rgb], [grey])]
        return [*concurrent, *later]

    found = asyncio.run(scenario())
    assert written == [["grey"], ["grey", "rgb"], ["grey"]]
    assert len({document.tag for document in found}) == 2
    assert json.loads(found[-1].content) == specification([grey], Settings(), OPERATIONS)
    assert found[0] == found[-1] != found[-2]


def test_a_failure_is_not_cached(monkeypatch: pytest.MonkeyPatch, grey: Generator):
    async def scenario() -> None:
        writer = DocumentWriter(Settings(), OPERATIONS)
        with monkeypatch.context() as broken:
            broken.setattr(documents, "specification", lambda *arguments: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                await writer.document([grey])
        assert b"grey" in (await writer.document([grey])).content

    asyncio.run(scenario())

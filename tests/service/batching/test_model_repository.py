"""The library alone, with a disk and a loader that fail when told to: what is refused, tried again, and said."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seedmint.service.batching import model_repository
from seedmint.service.batching.errors import UnknownModel
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.runtime.generator import open_generator
from seedmint.service.settings import read_settings
from tests.support import generators


@asynccontextmanager
async def watched(directory: Path, watch_seconds: float = 0.02) -> AsyncIterator[ModelRepository]:
    library = ModelRepository(read_settings({"SEEDMINT_MODELS": str(directory), "SEEDMINT_WATCH_SECONDS": str(watch_seconds)}))
    await library.start()
    try:
        yield library
    finally:
        await library.close()


async def until(found: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not found():
            await asyncio.sleep(0.01)


def names(library: ModelRepository) -> list[str]:
    return [served.generator.name for served in library.all()]


def test_whatever_a_file_raises_it_is_refused_and_the_watch_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def opened(path: Path, *arguments: object):
        if path.stem == "bad":
            raise MemoryError("as large as that")
        return open_generator(path)

    monkeypatch.setattr(model_repository, "open_generator", opened)

    async def scene() -> None:
        generators.write(tmp_path, "bad")
        generators.write(tmp_path, "good")
        async with watched(tmp_path) as library:
            assert names(library) == ["good"]
            generators.write(tmp_path, "later")
            await until(lambda: "later" in names(library))

    asyncio.run(scene())
    assert [record.message for record in caplog.records if "bad" in record.message] == [
        "bad.onnx is refused: MemoryError: as large as that"
    ]


def test_what_cannot_be_read_is_tried_again_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    tries = 0

    def opened(path: Path, *arguments: object):
        nonlocal tries
        tries += 1
        if tries < 10:
            raise OSError(5, "Input/output error")
        return open_generator(path)

    monkeypatch.setattr(model_repository, "open_generator", opened)

    async def scene() -> None:
        generators.write(tmp_path, "one")
        async with watched(tmp_path) as library:
            await until(lambda: names(library) == ["one"])

    asyncio.run(scene())
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "one.onnx is refused: Input/output error"
    ]


def test_a_directory_that_cannot_be_looked_at_keeps_what_is_served_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    looks = 0
    look = ModelRepository._look

    def failing(library: ModelRepository):
        nonlocal looks
        looks += 1
        if looks == 2:
            raise RuntimeError("of some kind")
        if 3 <= looks < 10:
            raise PermissionError(13, "Permission denied")
        return look(library)

    monkeypatch.setattr(ModelRepository, "_look", failing)

    async def scene() -> None:
        generators.write(tmp_path, "one")
        async with watched(tmp_path) as library:
            await until(lambda: looks >= 9)
            assert names(library) == ["one"]
            generators.write(tmp_path, "two")
            await until(lambda: names(library) == ["one", "two"])

    asyncio.run(scene())
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "the models directory cannot be read: RuntimeError: of some kind",
        "the models directory cannot be read: Permission denied",
    ]


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    os.mkfifo(tmp_path / "pipe.onnx")

    async def scene() -> None:
        async with asyncio.timeout(20), watched(tmp_path) as library:
            assert names(library) == []

    asyncio.run(scene())
    assert "pipe.onnx is refused: not a regular file" in caplog.messages


def test_a_file_being_copied_is_left_alone_until_it_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The copier writes at each look, whatever time that takes."""
    content = generators.content("slowly")
    path = tmp_path / "slowly.onnx"

    async def scene() -> None:
        async with watched(tmp_path) as library:
            look = library._look

            def written_at_each_look():
                done = path.stat().st_size if path.exists() else 0
                with path.open("ab") as file:
                    file.write(content[done : done + len(content) // 10 + 1])
                return look()

            library._look = written_at_each_look  # type: ignore[method-assign]
            await until(lambda: names(library) == ["slowly"])

    asyncio.run(scene())
    assert not [message for message in caplog.messages if "refused" in message]


def test_a_version_that_is_replaced_or_removed_is_found_a_little_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By whoever was redirected to it; then it goes, and its memory with it."""
    monkeypatch.setattr(model_repository, "_LINGER_SECONDS", 3.0)

    async def scene() -> None:
        path = generators.write(tmp_path, "one", 1)
        async with watched(tmp_path) as library:
            old = library.find("one", None).generator.digest12
            generators.write(tmp_path, "one", 2)
            await until(lambda: library.find("one", None).generator.digest12 != old)
            new = library.find("one", None).generator.digest12
            assert library.find("one", old).generator.digest12 == old
            path.unlink()
            await until(lambda: names(library) == [])
            assert library.find("one", new).generator.digest12 == new
            with pytest.raises(UnknownModel):
                library.find("one", None)
            await until(lambda: not library._former)
            for digest in (old, new):
                with pytest.raises(UnknownModel):
                    library.find("one", digest)
            await until(lambda: len(library._batchers) == 0)

    asyncio.run(scene())


def test_a_name_that_is_more_than_a_line_stays_one_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "x\nall is well.onnx").write_bytes(b"")

    async def scene() -> None:
        async with watched(tmp_path):
            pass

    asyncio.run(scene())
    assert (
        "x\\nall is well.onnx is refused: the file has no metadata entries 'seedmint': not a Seedmint generator file"
        in caplog.messages
    )


def test_closing_waits_for_generators_that_were_removed(tmp_path: Path):
    async def scene() -> None:
        path = generators.write(tmp_path, "one", idle_trips=400_000)
        async with watched(tmp_path) as library:
            batcher = library.find("one", None).batcher
            making = batcher.single(1, None, 1.0, len)
            path.unlink()
            await until(lambda: names(library) == [])
            assert not making.done() or making.result() == 1
        assert making.done()
        assert batcher._closed

    asyncio.run(scene())

"""The model repository with a directory and a loader that fail on purpose: refused files, retries and log lines."""

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import chain, repeat
from pathlib import Path

import pytest

from seedmint.service.batching import generator_opener, retired_versions
from seedmint.service.batching.errors import ModelsLoading, UnknownModel, UnknownVersion
from seedmint.service.batching.local_leader import LocalLeader
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.batching.place_scanner import PlaceScanner
from seedmint.service.places import folder_place
from seedmint.service.places.opening import open_places
from seedmint.service.runtime.generator import open_generator
from seedmint.service.settings import read_settings
from tests.support import generators


@asynccontextmanager
async def watched(directory: Path, watch_seconds: float = 0.02) -> AsyncIterator[ModelRepository]:
    environment = {"SEEDMINT_MODELS": str(directory), "SEEDMINT_WATCH_SECONDS": str(watch_seconds)}
    settings = read_settings(environment)
    repository = ModelRepository(settings)
    leader = LocalLeader(repository, PlaceScanner(open_places(settings), settings.watch_seconds))
    follow = asyncio.create_task(leader.run())
    await repository.start()
    try:
        yield repository
    finally:
        follow.cancel()
        await repository.close()


async def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def names(repository: ModelRepository) -> list[str]:
    return [served.generator.name for served in repository.all()]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the file and the reason code of each error in the log."""
    return refusals(caplog, logging.ERROR)


def refusals(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return the file, if one is named, and the reason code of each line of a level."""
    lines = [record.message for record in caplog.records if record.levelno == level]
    matches = [re.match(r"(?:([^(:]*): )?[^(:]*\((\w+)\):", line) for line in lines]
    return [
        " ".join(part for part in match.groups() if part) if match else line for match, line in zip(matches, lines, strict=True)
    ]


def test_any_exception_refuses_the_file_and_the_watch_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def open_or_fail(descriptor: int, *arguments: object):
        generator = open_generator(descriptor)
        if generator.name == "bad":
            raise MemoryError("too large")
        return generator

    monkeypatch.setattr(generator_opener, "open_generator", open_or_fail)

    async def scenario() -> None:
        generators.write(tmp_path, "bad")
        generators.write(tmp_path, "good")
        async with watched(tmp_path) as repository:
            assert names(repository) == ["good"]
            assert list(repository.load_errors()) == ["bad"]
            generators.write(tmp_path, "later")
            await wait_until(lambda: "later" in names(repository))
            (tmp_path / "bad.onnx").unlink()
            await wait_until(lambda: not repository.load_errors())

    asyncio.run(scenario())
    assert errors(caplog) == ["bad.onnx unexpected"]


def test_unreadable_file_is_retried_and_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    attempts = 0

    def open_or_fail(descriptor: int, *arguments: object):
        nonlocal attempts
        attempts += 1
        if attempts < 10:
            raise OSError(5, "Input/output error")
        return open_generator(descriptor)

    monkeypatch.setattr(generator_opener, "open_generator", open_or_fail)

    async def scenario() -> None:
        generators.write(tmp_path, "one")
        async with watched(tmp_path) as repository:
            await wait_until(lambda: names(repository) == ["one"])
            assert repository.load_errors() == {}

    asyncio.run(scenario())
    assert errors(caplog) == ["one.onnx unreadable"]


def test_refused_version_leaves_the_previous_version_in_service(tmp_path: Path):
    async def scenario() -> None:
        path = generators.write(tmp_path, "one", 1)
        async with watched(tmp_path) as repository:
            served = repository.find("one", None)
            file = repository._files["one"]
            generators.put(path, b"not a generator")
            await wait_until(repository.load_errors)
            assert file.error is not None
            assert repository.find("one", None) is served
            assert repository.find("one", served.generator.digest12) is served
            assert not repository._retired
            generators.write(tmp_path, "one", 1)  # the same bytes as before: the same generator and batcher stay
            await wait_until(lambda: not repository.load_errors())
            assert repository.find("one", None) is served

    asyncio.run(scenario())


def test_unreadable_directory_leaves_generators_in_service_and_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    is_failing = False
    failures = chain([RuntimeError("some error")], repeat(PermissionError(13, "Permission denied")))
    list_files = folder_place.list_files

    def list_or_fail(directory: Path):
        if is_failing:
            raise next(failures)
        return list_files(directory)

    monkeypatch.setattr(folder_place, "list_files", list_or_fail)

    async def scenario() -> None:
        nonlocal is_failing
        generators.write(tmp_path, "one")
        async with watched(tmp_path) as repository:
            assert repository.readable
            is_failing = True
            await wait_until(lambda: not repository.readable)
            assert names(repository) == ["one"]
            await wait_until(lambda: len(errors(caplog)) == 2)
            is_failing = False
            assert names(repository) == ["one"]
            generators.write(tmp_path, "two")
            await wait_until(lambda: names(repository) == ["one", "two"])
            assert repository.readable

    asyncio.run(scenario())
    assert errors(caplog) == [
        "unexpected",
        "unreadable",
    ]


def test_nothing_is_found_before_the_first_scan(tmp_path: Path):
    async def scenario() -> None:
        repository = ModelRepository(read_settings({"SEEDMINT_MODELS": str(tmp_path)}))
        with pytest.raises(ModelsLoading) as raised:
            repository.all()
        assert raised.value.retry_after == 1
        with pytest.raises(ModelsLoading):
            repository.find("one", None)

    asyncio.run(scenario())


def test_named_pipe_is_refused_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    os.mkfifo(tmp_path / "pipe.onnx")

    async def scenario() -> None:
        async with asyncio.timeout(60), watched(tmp_path) as repository:
            assert names(repository) == []

    asyncio.run(scenario())
    assert errors(caplog) == ["pipe.onnx not_a_file"]


def test_files_of_other_formats_are_named_in_the_log_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async def scenario() -> None:
        generators.write(tmp_path, "good")
        (tmp_path / "network.pkl").write_bytes(b"\x80\x04\x95\x10\x00\x00\x00")
        (tmp_path / "keras.onnx").write_bytes(b"\x89HDF\r\n\x1a\n")
        (tmp_path / ".hidden.pkl").write_bytes(b"\x80\x04\x95\x10\x00\x00\x00")
        (tmp_path / "notes.txt").write_text("text")
        async with watched(tmp_path) as repository:
            assert names(repository) == ["good"]
            assert list(repository.load_errors()) == ["keras"]
            assert refusals(caplog, logging.WARNING) == ["network.pkl pickle_file"]
            (tmp_path / "network.pkl").write_bytes(b"\x89HDF\r\n\x1a\n")
            await wait_until(lambda: refusals(caplog, logging.WARNING)[1:] == ["network.pkl keras_file"])

    asyncio.run(scenario())
    assert errors(caplog) == ["keras.onnx keras_file"]


def test_file_is_loaded_only_after_it_stops_changing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """A copy writes a part at each scan, so that no machine is too slow for the test."""
    content = generators.content("slowly")
    path = tmp_path / "slowly.onnx"
    list_files = folder_place.list_files

    def write_and_list(directory: Path):
        done = path.stat().st_size if path.exists() else 0
        with path.open("ab") as file:
            file.write(content[done : done + len(content) // 10 + 1])
        return list_files(directory)

    async def scenario() -> None:
        async with watched(tmp_path) as repository:
            monkeypatch.setattr(folder_place, "list_files", write_and_list)
            await wait_until(lambda: names(repository) == ["slowly"])

    asyncio.run(scenario())
    assert errors(caplog) == []


def test_replaced_and_removed_versions_stay_available_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A client that was redirected to a version still gets it. Afterwards the version and its memory are released."""
    monkeypatch.setattr(retired_versions, "LINGER_SECONDS", 3.0)

    async def scenario() -> None:
        path = generators.write(tmp_path, "one", 1)
        async with watched(tmp_path) as repository:
            old = repository.find("one", None).generator.digest12
            generators.write(tmp_path, "one", 2)
            await wait_until(lambda: repository.find("one", None).generator.digest12 != old)
            new = repository.find("one", None).generator.digest12
            assert repository.find("one", old).generator.digest12 == old
            with pytest.raises(UnknownVersion):
                repository.find("one", "0" * 12)
            path.unlink()
            await wait_until(lambda: names(repository) == [])
            assert repository.find("one", new).generator.digest12 == new
            with pytest.raises(UnknownModel):
                repository.find("one", None)
            await wait_until(lambda: not repository._retired)
            for digest in (old, new):
                with pytest.raises(UnknownModel):
                    repository.find("one", digest)
            await wait_until(lambda: len(repository._batchers) == 0)

    asyncio.run(scenario())


def test_line_break_in_a_file_name_is_escaped_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "x\nforged line.onnx").write_bytes(b"")

    async def scenario() -> None:
        async with watched(tmp_path):
            pass

    asyncio.run(scenario())
    assert [line.split(".onnx")[0] for line in errors(caplog)] == ["x\\nforged line"]


def test_close_waits_for_batches_of_removed_generators(tmp_path: Path):
    async def scenario() -> None:
        path = generators.write(tmp_path, "one", idle_trips=400_000)
        async with watched(tmp_path) as repository:
            batcher = repository.find("one", None).batcher
            future = batcher.submit(1, None, 1.0, None)
            path.unlink()
            await wait_until(lambda: names(repository) == [])
            assert not future.done() or len(future.result()) == 1
        assert future.done()
        assert batcher._is_closed

    asyncio.run(scenario())

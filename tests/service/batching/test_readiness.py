"""When the model repository is ready: by the generators that are served, and by the settings."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seedmint.service.batching.local_leader import LocalLeader
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.batching.place_scanner import PlaceScanner
from seedmint.service.batching.place_states import PlaceState
from seedmint.service.batching.readiness import Readiness
from seedmint.service.places.opening import open_places
from seedmint.service.settings import read_settings
from tests.support import generators


@asynccontextmanager
async def scanned(directory: Path, **settings: str) -> AsyncIterator[tuple[ModelRepository, LocalLeader]]:
    """A repository and its leader, which scans only when the test calls `scan`."""
    variables = {f"SEEDMINT_{name.upper()}": value for name, value in settings.items()}
    configured = read_settings({"SEEDMINT_MODELS": str(directory)} | variables)
    repository = ModelRepository(configured)
    assert not repository.is_ready()
    leader = LocalLeader(repository, PlaceScanner(open_places(configured), 3600))
    await leader.scan()
    await repository.start()
    try:
        yield repository, leader
    finally:
        leader.close()
        await repository.close()


async def rescan(leader: LocalLeader) -> None:
    for _ in range(2):  # a changed file is loaded at the second scan that finds the same version
        await leader.scan()


def refuse(directory: Path, name: str) -> None:
    (directory / f"{name}.onnx").write_bytes(b"no generator")


def test_a_server_without_generators_is_not_ready_until_one_is_served(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async def scenario() -> None:
        refuse(tmp_path, "bad")
        nested = tmp_path / "nested"
        nested.mkdir()
        generators.write(nested, "deep")
        async with scanned(tmp_path) as (repository, leader):
            assert not repository.is_ready()
            assert not repository.is_ready()
            assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
            generators.write(tmp_path, "one")
            await rescan(leader)
            assert repository.is_ready()
            (tmp_path / "one.onnx").unlink()
            await rescan(leader)
            assert not repository.is_ready()

    asyncio.run(scenario())


def test_a_replaced_file_that_is_refused_keeps_the_server_ready(tmp_path: Path):
    async def scenario() -> None:
        generators.write(tmp_path, "one")
        async with scanned(tmp_path, ready_when="all", required_models="one") as (repository, leader):
            assert repository.is_ready()
            refuse(tmp_path, "one")
            refuse(tmp_path, "two")
            await rescan(leader)
            assert sorted(repository.load_errors()) == ["one", "two"]
            assert repository.is_ready()

    asyncio.run(scenario())


def test_all_files_must_be_served_at_start(tmp_path: Path):
    async def scenario() -> None:
        generators.write(tmp_path, "one")
        refuse(tmp_path, "two")
        async with scanned(tmp_path, ready_when="all") as (repository, leader):
            assert not repository.is_ready()
            (tmp_path / "two.onnx").unlink()
            await rescan(leader)
            assert repository.is_ready()
        async with scanned(tmp_path, ready_when="any") as (repository, leader):
            assert repository.is_ready()

    asyncio.run(scenario())


def test_an_empty_directory_is_ready_where_the_setting_says_so(tmp_path: Path):
    async def scenario() -> None:
        async with scanned(tmp_path, ready_when="serving") as (repository, _):
            assert repository.is_ready()
        async with scanned(tmp_path, ready_when="all") as (repository, _):
            assert not repository.is_ready()
        shutil.rmtree(tmp_path)
        async with scanned(tmp_path, ready_when="serving") as (repository, _):
            assert not repository.is_ready()

    asyncio.run(scenario())


@pytest.mark.parametrize("ready_when", ["any", "all", "serving"])
def test_required_generators_must_be_served_at_start(tmp_path: Path, ready_when: str):
    async def scenario() -> None:
        generators.write(tmp_path, "one")
        async with scanned(tmp_path, ready_when=ready_when, required_models="one,two") as (repository, leader):
            assert not repository.is_ready()
            generators.write(tmp_path, "two")
            await rescan(leader)
            assert repository.is_ready()
            (tmp_path / "two.onnx").unlink()
            await rescan(leader)
            assert repository.is_ready()

    asyncio.run(scenario())


@pytest.mark.parametrize(("ready_when", "expected"), [("any", True), ("all", False), ("serving", True)])
def test_all_places_must_be_readable_at_start(tmp_path: Path, ready_when: str, expected: bool):
    readiness = Readiness(read_settings({"SEEDMINT_MODELS": str(tmp_path), "SEEDMINT_READY_WHEN": ready_when}))
    up, down = (PlaceState("s3://bucket", is_up, True, None) for is_up in (True, False))
    assert readiness.check({"one"}, (), (up, down)) is expected
    assert readiness.check({"one"}, (), (up, up))
    assert readiness.check({"one"}, (), (up, down))  # no longer at start

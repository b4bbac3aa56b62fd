"""Fixtures of the tests of batch jobs."""

from pathlib import Path

import pytest

from tests.support import generators
from tests.support.s3_storage import s3, s3_server

__all__ = ["s3", "s3_server"]  # fixtures


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator file that takes about half a millisecond for each image, so that tests can interrupt jobs."""
    directory = tmp_path_factory.mktemp("slow")
    return generators.put(directory / "slow.onnx", generators.content("slow", 5, idle_trips=20_000))

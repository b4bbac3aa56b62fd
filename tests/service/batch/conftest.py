"""A generator that takes its time, so that jobs can be met at work."""

from pathlib import Path

import pytest

from tests.support import generators


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator file that takes about half a millisecond an image."""
    directory = tmp_path_factory.mktemp("slow")
    return generators.put(directory / "slow.onnx", generators.content("slow", 5, idle_trips=20_000))

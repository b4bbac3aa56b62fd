"""Fixtures for all tests: a server with image generators and a server with sample generators. Tests do not change them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seedmint.models.card import ImageOutput, SampleOutput
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.servers import Server, serving

CLASSES = ("ant", "bee", "cat")
POINT = SampleOutput(kind="sample", shape=(2,), names=("x", 'the "other", y'))
WAVE = SampleOutput(kind="sample", shape=(16, 2), names=("left", "right"))


def fill(directory: Path) -> Path:
    """Write the generators `grey` (8x8x1, unconditional) and `rgb` (16x12x3, three classes)."""
    generators.write(directory, "grey", 1)
    generators.write(directory, "rgb", 2, classes=CLASSES, output=ImageOutput(height=16, width=12, channels=3))
    return directory


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Server]:
    with serving(models, watch_seconds=2) as running:
        yield running


@pytest.fixture(scope="session")
def grey(models: Path) -> Generator:
    return open_generator(models / "grey.onnx")


@pytest.fixture(scope="session")
def rgb(models: Path) -> Generator:
    return open_generator(models / "rgb.onnx")


@pytest.fixture(scope="session")
def sample_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `grey`, `point` (two columns, three classes) and `wave` (16 steps in two channels, unconditional)."""
    directory = tmp_path_factory.mktemp("sample-models")
    generators.write(directory, "grey", 1)
    generators.write(directory, "point", 3, classes=CLASSES, output=POINT)
    generators.write(directory, "wave", 4, output=WAVE)
    return directory


@pytest.fixture(scope="session")
def sample_server(sample_models: Path) -> Iterator[Server]:
    with serving(sample_models, watch_seconds=2) as running:
        yield running


@pytest.fixture(scope="session")
def point(sample_models: Path) -> Generator:
    return open_generator(sample_models / "point.onnx")


@pytest.fixture(scope="session")
def wave(sample_models: Path) -> Generator:
    return open_generator(sample_models / "wave.onnx")


@pytest.fixture
def home(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory for commands that use the image generators."""
    return _home(models, tmp_path, monkeypatch)


@pytest.fixture
def sample_home(sample_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory for commands that use the sample generators."""
    return _home(sample_models, tmp_path, monkeypatch)


def _home(models: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEDMINT_MODELS", str(models))
    monkeypatch.chdir(directory)
    return directory

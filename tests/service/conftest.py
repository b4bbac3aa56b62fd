"""One server for all tests that only read; two small generators, one of them conditional."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.card import ImageOutput
from service.generator import Generator, open_generator
from tests import generators
from tests.service.servers import Server, serving

CLASSES = ("ant", "bee", "cat")


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
    with serving(models) as running:
        yield running


@pytest.fixture(scope="session")
def grey(models: Path) -> Generator:
    return open_generator(models / "grey.onnx")


@pytest.fixture(scope="session")
def rgb(models: Path) -> Generator:
    return open_generator(models / "rgb.onnx")

"""Opening generator files that the leader has opened: the format of other files, and the name in the card."""

import os
from pathlib import Path

import pytest

from seedmint.models.errors import UserError
from seedmint.service.batching.generator_opener import open_descriptor
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import read_settings
from tests.support import generators
from tests.support.errors import raises


def opened(folder: Path, content: bytes, stem: str = "one") -> Generator:
    path = folder / f"{stem}.onnx"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        settings = read_settings({"SEEDMINT_MODELS": str(folder), "SEEDMINT_MAX_BATCH": "5", "SEEDMINT_MAX_QUEUE": "5"})
        return open_descriptor(descriptor, stem, settings)
    finally:
        os.close(descriptor)


def test_a_generator_is_opened_by_the_settings(tmp_path: Path):
    generator = opened(tmp_path, generators.content("one"))
    assert (generator.name, generator.max_batch, generator.provider) == ("one", 5, "cpu")


@pytest.mark.parametrize(("content", "reason"), [(b"\x89HDF\r\n\x1a\n", "keras_file"), (b"nothing that is known", "not_onnx")])
def test_a_file_of_another_format_is_named(tmp_path: Path, content: bytes, reason: str):
    with raises(UserError, reason):
        opened(tmp_path, content)


def test_a_file_that_violates_the_contract_keeps_its_reason(tmp_path: Path):
    model = generators.model(generators.card("one"))
    del model.metadata_props[:]
    with pytest.raises(UserError) as error:
        opened(tmp_path, model.SerializeToString())
    assert error.value.reason not in ("not_onnx", "invalid")


def test_the_file_has_the_name_of_the_generator(tmp_path: Path):
    with raises(UserError, "wrong_name"):
        opened(tmp_path, generators.content("one"), "two")

"""Upgrading generator files: cards of schema 1, and cards without a reference."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from seedmint.models.card import CARD_KEY, CardError
from seedmint.models.errors import UserError
from seedmint.models.reference import digest_outputs
from seedmint.models.runtime.generator_file import checked_card
from seedmint.models.runtime.generator_session import GeneratorSession
from seedmint.models.runtime.reference import reference_outputs
from seedmint.service.importer.upgrade import upgrade
from seedmint.service.runtime.generator import Generator
from tests.support import generators
from tests.support.commandline import run, run_error


def first_schema(model: onnx.ModelProto, difference: float | None = None, **changes: Any) -> bytes:
    """Give a generator a card as the first schema wrote it."""
    document = json.loads(model.metadata_props[0].value) | {"schema": 1} | changes
    for field in ("reference", "truncation", "max_batch"):
        document.pop(field)
    del document["provenance"]["import"]
    if difference is not None:
        document["provenance"]["reference_difference"] = difference
    helper.set_model_props(model, {CARD_KEY: json.dumps(document)})
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("difference", [None, 1.0])
def test_the_card_gets_a_reference_and_the_weights_stay(difference: float | None):
    card = generators.card("old", classes=("a", "b"))
    old = first_schema(generators.model(card, 3), difference)
    with pytest.raises(CardError) as raised:
        checked_card(old)
    assert raised.value.reason == "unknown_schema"
    new = upgrade(old)
    before, after = onnx.load_from_string(old), onnx.load_from_string(new)
    del before.metadata_props[:], after.metadata_props[:]
    assert before == after
    upgraded = checked_card(new)
    imported = upgraded.provenance.imported
    assert (imported is None) if difference is None else (imported is not None and imported.difference == difference)
    outputs = reference_outputs(GeneratorSession(new), 64)
    assert upgraded.reference is not None
    assert (upgraded.reference.seeds, upgraded.reference.sha256) == (64, digest_outputs(outputs))
    assert upgraded.reference.difference(outputs) == 0
    np.testing.assert_array_equal(Generator(new, "cpu", 1, 64).generate(np.arange(64)), outputs)
    provenance = upgraded.provenance.model_copy(update={"imported": None})
    assert upgraded.model_copy(update={"reference": None, "provenance": provenance}) == card
    assert upgrade(new) is new


def test_a_generator_whose_outputs_do_not_depend_on_the_scale_of_z_has_no_truncation():
    model = generators.model(generators.card("sign"))
    model.graph.node.insert(0, helper.make_node("Sign", ["z"], ["direction"]))
    next(node for node in model.graph.node if node.op_type == "MatMul").input[0] = "direction"
    assert checked_card(upgrade(first_schema(model))).truncation == "none"
    assert checked_card(upgrade(first_schema(generators.model(generators.card("scaled"))))).truncation == "z"


def test_a_card_without_a_reference_gets_one():
    content = generators.model(generators.card("bare")).SerializeToString()
    assert checked_card(content).reference is None
    assert checked_card(upgrade(content)).reference is not None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not onnx", "not_onnx"),
        (first_schema(generators.model(generators.card("x")), title=""), "malformed_card"),
        (first_schema(generators.model(generators.card("x")), provenance={"import": None, "steps": -1}), "malformed_card"),
        (first_schema(generators.model(generators.card("x")), schema=3), "unknown_schema"),
    ],
)
def test_other_files_are_refused(content: bytes, reason: str):
    with pytest.raises(UserError) as raised:
        upgrade(content)
    assert raised.value.reason == reason


def test_the_command_rewrites_files_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    old = first_schema(generators.model(generators.card("one")))
    Path("one.onnx").write_bytes(old)
    Path("bad.onnx").write_bytes(b"not onnx")
    assert run_error("sample", "./one.onnx", "--seeds", "0", "--out", "a.png").reason == "unknown_schema"
    run("models", "upgrade", "one.onnx")
    upgraded = Path("one.onnx").read_bytes()
    assert upgraded == upgrade(old)
    run("models", "upgrade", "one.onnx")
    assert Path("one.onnx").read_bytes() == upgraded
    assert run_error("models", "upgrade", "bad.onnx").reason == "not_onnx"
    run("sample", "./one.onnx", "--seeds", "0", "--out", "a.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "bad.onnx", "one.onnx"]


def test_a_file_of_another_format_is_named(tmp_path: Path):
    (tmp_path / "g.keras").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    assert run_error("models", "upgrade", str(tmp_path / "g.keras")).reason == "keras_file"

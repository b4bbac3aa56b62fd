"""Hostile generator files are refused in one line, and runs that need too much memory or time are stopped."""

import contextlib
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil  # type: ignore[import-untyped]
import pytest
from onnx import helper

from seedmint.models.card import CardError, ImageOutput
from seedmint.models.contract import MAX_NODES, ContractError
from seedmint.models.errors import UserError, one_line
from seedmint.models.noise import noise
from seedmint.models.runtime import session
from seedmint.models.runtime.generator_file import GeneratorError, read_content
from seedmint.models.runtime.memory import machine_memory
from seedmint.models.runtime.provider import open_session, release_memory
from seedmint.models.runtime.session import TooLargeError, TooSlowError
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.options import ImportOptions
from seedmint.service.runtime.generator import Generator
from tests.support import generators, hostile_models
from tests.support.onnx_imports import import_content


@pytest.fixture(autouse=True)
def _bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limit runs to one second, and the address space, so that a failing test does not exhaust the machine."""
    monkeypatch.setattr(session, "RUN_SECONDS", 1.0)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + machine_memory(), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("kind", [kind for kind in hostile_models.KINDS if kind != "many-constants"])
def test_hostile_file_is_refused_in_one_line(kind: str, capfd: pytest.CaptureFixture[str]):
    content, reasons = hostile_models.content(kind, "bad"), hostile_models.KINDS[kind][1]
    assert len(content) < 2_000_000
    before = psutil.Process().memory_info().rss
    with pytest.raises(UserError) as raised:
        Generator(content, "cpu", 1, 64)
    assert raised.value.reason in reasons.split("|"), raised.value
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
    release_memory()
    assert psutil.Process().memory_info().rss - before < 64 << 20


def test_constant_folding_keeps_within_its_memory_limit():
    """The constants of this graph have 19 GiB."""
    before = psutil.Process().memory_info().rss
    session = open_session(hostile_models.content("many-constants", "many"), "cpu", 1, MAX_NODES)
    assert psutil.Process().memory_info().rss - before < 1 << 30
    with pytest.raises(TooSlowError):
        session.run(None, {"z": np.zeros((1, 20), np.float32)})


def test_run_that_needs_too_much_memory_fails_alone():
    """This generator opens, and needs terabytes for a seed that the test at opening does not use."""
    first = noise("philox-normal-v1", 20, np.arange(5000))[:, 0]
    ceiling = first[:64].max()
    worst = int(first.argmax())
    assert first[worst] > ceiling
    nodes = [
        helper.make_node("Gather", ["z", "column_index"], ["column"], axis=1),
        helper.make_node("ReduceMax", ["column"], ["top"], keepdims=0),
        helper.make_node("Sub", ["top", "ceiling"], ["above"]),
        helper.make_node("Relu", ["above"], ["rest"]),
        helper.make_node("Mul", ["rest", "factor"], ["scaled"]),
        helper.make_node("Cast", ["scaled"], ["whole"], to=onnx.TensorProto.INT64),
        helper.make_node("Reshape", ["whole", "one_axis"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["spike"]),
    ]
    stored = {"column_index": np.array([0]), "ceiling": ceiling, "factor": np.float32(1e14), "one_axis": np.array([1])}
    generator = Generator(hostile_models.spiked("moody", nodes, **stored).SerializeToString(), "cpu", 1, 64)
    good = generator.generate(np.arange(3))
    with pytest.raises(TooLargeError):
        generator.generate(np.array([worst]))
    np.testing.assert_array_equal(generator.generate(np.arange(3)), good)


@pytest.mark.parametrize("kind", ["sparse", "expand", "endless-loop", "nested", "crowded", "unfolding"])
def test_hostile_file_is_not_imported(kind: str):
    content = hostile_models.content(kind, "bad")
    with pytest.raises(UserError) as raised:
        import_content(content, ImportOptions(name="bad", title="Bad"))
    assert "\n" not in str(raised.value)


def test_recursive_functions_are_not_imported():
    model = generators.model(generators.card("bad"))
    inner = [helper.make_node("F", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "F", ["x"], ["y"], inner, [helper.make_opsetid("", 18)]))
    model.graph.node[0].op_type = "F"
    with pytest.raises(GeneratorImportError) as raised:
        import_content(model.SerializeToString(), ImportOptions(name="bad", title="Bad"))
    assert raised.value.reason == "too_many_nodes"


def test_corrupted_file_opens_or_raises_user_error():
    """A thousand files with a few changed, missing or inserted bytes, mostly in the graph and the card, or truncated."""
    random = np.random.RandomState(0)
    valid = generators.content("some", classes=("a", "b"))
    opened = 0
    for n in range(1000):
        content = bytearray(valid)
        for _ in range(random.randint(1, 6)):
            start = random.choice([random.randint(400), len(valid) - 1 - random.randint(900)]) % len(content)
            content[start : start + random.randint(3)] = random.bytes(random.randint(4))
        if n % 10 == 0:
            del content[random.randint(len(content)) :]
        with contextlib.suppress(UserError):
            Generator(bytes(content), "cpu", 1, 8)
            opened += 1
    assert 10 < opened < 990  # neither kind of outcome is rare


# kind -> changes of the card, the wrong field of the card if one is named
FORGED: dict[str, tuple[dict[str, Any], str | None]] = {
    "path as name": ({"name": "../../etc/passwd"}, "name"),
    "huge z": ({"noise": {"rule": "philox-normal-v1", "z_dim": 10**9}}, "noise.z_dim"),
    "unknown noise rule": ({"noise": {"rule": "os.system", "z_dim": 20}}, "noise"),
    "card above the size limit by classes": ({"classes": [str(n) for n in range(1_000_000)]}, None),
    "too many classes": ({"classes": [str(n) for n in range(100_001)]}, "classes"),
    "control character in a class": ({"classes": ["a", "b\x07"]}, "classes.1"),
    "huge image": ({"output": {"kind": "image", "height": 10**9, "width": 8, "channels": 1}}, "output.image.height"),
    "empty shape": ({"output": {"kind": "sample", "shape": [], "names": []}}, "output.sample.shape"),
    "unknown field": ({"run": "rm -rf /"}, "run"),
    "card above the size limit by recipe": ({"provenance": {"recipe": {"x": "y" * 5_000_000}}}, None),
    "infinite number": ({"provenance": {"recipe": {"x": 1e999}}}, None),
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_card_is_refused_with_its_field(kind: str):
    changes, wrong = FORGED[kind]
    model = generators.model(generators.card("some"))
    card = json.loads(model.metadata_props[0].value) | changes
    model.metadata_props[0].value = json.dumps(card)
    with pytest.raises(CardError) as raised:
        Generator(model.SerializeToString(), "cpu", 1, 8)
    assert raised.value.reason == "malformed_card"
    assert raised.value.card_fields[:1] == (() if wrong is None else (wrong,))


def test_card_with_another_shape_than_the_graph_is_refused():
    model = generators.model(generators.card("some"))
    other = generators.card("some", output=ImageOutput(height=8, width=16, channels=1))
    model.metadata_props[0].value = other.to_json()
    with pytest.raises(ContractError) as raised:
        Generator(model.SerializeToString(), "cpu", 1, 8)
    assert raised.value.reason == "wrong_signature"


def test_text_of_a_file_cannot_forge_log_lines():
    model = generators.model(generators.card("some"))
    model.graph.input[0].name = "z\n2026-01-01 [INFO] forged\x1b[2J" + "z" * 100_000
    with pytest.raises(ContractError) as raised:
        Generator(model.SerializeToString(), "cpu", 1, 8)
    line = one_line(raised.value)
    assert line.isprintable()
    assert "z\\n2026-01-01 [INFO] forged\\x1b[2Jzz" in line
    assert len(line) < 600


def test_device_is_not_read(tmp_path: Path):
    """Reading /dev/zero would never end."""
    (tmp_path / "zero.onnx").symlink_to("/dev/zero")
    with pytest.raises(GeneratorError):
        read_content(tmp_path / "zero.onnx")

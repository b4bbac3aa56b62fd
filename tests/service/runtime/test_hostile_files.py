"""Files made to bring the machine down are refused in one line; so is what a run of an opened one asks for too much of."""

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

from seedmint.models.contract import MAX_NODES, ContractError, check_contract
from seedmint.models.errors import UserError, one_line
from seedmint.models.noise import noise
from seedmint.models.runtime import session
from seedmint.models.runtime.generator_file import GeneratorError, read_content
from seedmint.models.runtime.memory import machine_memory
from seedmint.models.runtime.provider import open_session, release_memory
from seedmint.models.runtime.session import TooLargeError, TooSlowError
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.importing import import_generator
from seedmint.service.importer.options import ImportOptions
from seedmint.service.runtime.generator import Generator
from tests.support import generators, hostile_models


@pytest.fixture(autouse=True)
def _bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs of a second; and a test that fails must not take the machine with it."""
    monkeypatch.setattr(session, "RUN_SECONDS", 1.0)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + machine_memory(), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("kind", [kind for kind in hostile_models.KINDS if kind != "many-constants"])
def test_it_is_refused_in_one_line(kind: str, capfd: pytest.CaptureFixture[str]):
    content, reason = hostile_models.content(kind, "bad"), hostile_models.KINDS[kind][1]
    assert len(content) < 2_000_000
    before = psutil.Process().memory_info().rss
    with pytest.raises(UserError) as refused:
        Generator(content, "cpu", 1, 64)
    assert any(part in str(refused.value) for part in reason.split("|")), refused.value
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")
    release_memory()
    assert psutil.Process().memory_info().rss - before < 64 << 20


def test_constants_are_not_computed_ahead_beyond_the_bound():
    """Kept, they would be 19 GiB."""
    before = psutil.Process().memory_info().rss
    session = open_session(hostile_models.content("many-constants", "many"), "cpu", 1, MAX_NODES)
    assert psutil.Process().memory_info().rss - before < 1 << 30
    with pytest.raises(TooSlowError):  # as slow as that
        session.run(None, {"z": np.zeros((1, 20), np.float32)})


def test_a_run_is_stopped_whenever_it_asks_for_too_much():
    """A generator that opens, and takes terabytes for seeds that were not tried: others are made before and after."""
    first = noise("philox-normal-v1", 20, np.arange(5000))[:, 0]
    ceiling = first[:64].max()
    worst = int(first.argmax())
    assert first[worst] > ceiling
    nodes = [
        helper.make_node("Gather", ["z", "place"], ["column"], axis=1),
        helper.make_node("ReduceMax", ["column"], ["top"], keepdims=0),
        helper.make_node("Sub", ["top", "ceiling"], ["above"]),
        helper.make_node("Relu", ["above"], ["rest"]),
        helper.make_node("Mul", ["rest", "factor"], ["scaled"]),
        helper.make_node("Cast", ["scaled"], ["whole"], to=onnx.TensorProto.INT64),
        helper.make_node("Reshape", ["whole", "one_axis"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["spike"]),
    ]
    stored = {"place": np.array([0]), "ceiling": ceiling, "factor": np.float32(1e14), "one_axis": np.array([1])}
    generator = Generator(hostile_models.spiked("moody", nodes, **stored).SerializeToString(), "cpu", 1, 64)
    good = generator.generate(np.arange(3))
    with pytest.raises(TooLargeError):
        generator.generate(np.array([worst]))
    np.testing.assert_array_equal(generator.generate(np.arange(3)), good)


@pytest.mark.parametrize("kind", ["sparse", "expand", "endless-loop", "nested", "crowded", "unfolding"])
def test_it_is_not_imported_either(kind: str):
    content = hostile_models.content(kind, "bad")
    with pytest.raises(UserError) as refused:
        import_generator(content, ImportOptions(name="bad", title="Bad"))
    assert "\n" not in str(refused.value)


def test_functions_that_call_in_a_circle_are_not_unfolded():
    model = generators.model(generators.card("bad"))
    inner = [helper.make_node("F", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "F", ["x"], ["y"], inner, [helper.make_opsetid("", 18)]))
    model.graph.node[0].op_type = "F"
    with pytest.raises(GeneratorImportError) as refused:
        import_generator(model.SerializeToString(), ImportOptions(name="bad", title="Bad"))
    assert refused.value.reason == "too_many_nodes"


def test_what_lies_inside_functions_is_refused_with_them():
    """Nothing looks into their bodies: a custom operator, or a weight outside the file, could be there."""
    model = generators.model(generators.card("bad"))
    inner = [helper.make_node("Evil", ["x"], ["y"], domain="com.example")]
    model.functions.append(helper.make_function("", "F", ["x"], ["y"], inner, [helper.make_opsetid("", 18)]))
    with pytest.raises(ContractError, match="function 'F' of its own"):
        check_contract(model)


def test_whatever_is_changed_or_cut_off_is_opened_or_refused():
    """A thousand files with a few bytes changed, left out or put in, mostly where the graph and the card are, and cuts."""
    random = np.random.RandomState(0)
    whole = generators.content("some", classes=("a", "b"))
    for n in range(1000):
        content = bytearray(whole)
        for _ in range(random.randint(1, 6)):
            place = random.choice([random.randint(400), len(whole) - 1 - random.randint(900)]) % len(content)
            content[place : place + random.randint(3)] = random.bytes(random.randint(4))
        if n % 10 == 0:
            del content[random.randint(len(content)) :]
        with contextlib.suppress(UserError):
            Generator(bytes(content), "cpu", 1, 8)


FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "a path for a name": ({"name": "../../etc/passwd"}, "card field name"),
    "a longer z than there is": ({"noise": {"rule": "philox-normal-v1", "z_dim": 10**9}}, "card field noise.z_dim"),
    "a rule of its own": ({"noise": {"rule": "os.system", "z_dim": 20}}, "is not known"),
    "a million classes": ({"classes": [str(n) for n in range(1_000_000)]}, "at most 4194304"),
    "more classes than may be": ({"classes": [str(n) for n in range(100_001)]}, "card field classes"),
    "a class that rings": ({"classes": ["a", "b\x07"]}, "card field classes.1"),
    "an image as large as a city": ({"output": {"kind": "image", "height": 10**9, "width": 8, "channels": 1}}, "height"),
    "another shape": ({"output": {"kind": "image", "height": 8, "width": 16, "channels": 1}}, "the card asks for"),
    "no shape at all": ({"output": {"kind": "sample", "shape": [], "names": []}}, "card field output"),
    "fields of its own": ({"run": "rm -rf /"}, "card field run"),
    "a recipe of 5 MB": ({"provenance": {"recipe": {"x": "y" * 5_000_000}}}, "at most 4194304"),
    "a recipe without a bottom": ({"provenance": {"recipe": {"x": 1e999}}}, "not JSON"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_card_is_refused_with_its_field(kind: str):
    changes, reason = FORGED[kind]
    model = generators.model(generators.card("some"))
    card = json.loads(model.metadata_props[0].value) | changes
    model.metadata_props[0].value = json.dumps(card)
    with pytest.raises(UserError) as refused:
        Generator(model.SerializeToString(), "cpu", 1, 8)
    assert reason in str(refused.value)


def test_what_a_file_says_cannot_forge_the_log():
    model = generators.model(generators.card("some"))
    model.graph.input[0].name = "z\n2026-01-01 [INFO] all is well\x1b[2J" + "z" * 100_000
    with pytest.raises(ContractError) as refused:
        Generator(model.SerializeToString(), "cpu", 1, 8)
    line = one_line(refused.value)
    assert line.isprintable()
    assert line.startswith("inputs are z\\n2026-01-01 [INFO] all is well\\x1b[2Jzz")
    assert len(line) < 600


def test_a_device_is_not_read(tmp_path: Path):
    """It would never end."""
    (tmp_path / "zero.onnx").symlink_to("/dev/zero")
    with pytest.raises(GeneratorError):
        read_content(tmp_path / "zero.onnx")

"""Files made to bring the machine down are refused in one line; so is what a run of an opened one asks for too much of."""

import resource
from collections.abc import Iterator

import numpy as np
import onnx
import psutil  # type: ignore[import-untyped]
import pytest
from onnx import helper

import service.session
from models.contract import MAX_NODES, ContractError, check_contract
from models.errors import UserError
from models.noise import noise
from service.generator import Generator
from service.importing import ImportingError, Wanted, import_generator
from service.memory import machine_memory
from service.provider import give_memory_back, open_session
from service.session import TooLargeError, TooSlowError
from tests import generators, hostile


@pytest.fixture(autouse=True)
def _bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs of a second; and a test that fails must not take the machine with it."""
    monkeypatch.setattr(service.session, "RUN_SECONDS", 1.0)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + machine_memory(), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("kind", [kind for kind in hostile.KINDS if kind != "many-constants"])
def test_it_is_refused_in_one_line(kind: str, capfd: pytest.CaptureFixture[str]):
    content, reason = hostile.content(kind, "bad"), hostile.KINDS[kind][1]
    assert len(content) < 2_000_000
    before = psutil.Process().memory_info().rss
    with pytest.raises(UserError) as refused:
        Generator(content, "cpu", 1, 64)
    assert any(part in str(refused.value) for part in reason.split("|")), refused.value
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")
    give_memory_back()
    assert psutil.Process().memory_info().rss - before < 64 << 20


def test_constants_are_not_computed_ahead_beyond_the_bound():
    """Kept, they would be 19 GiB."""
    before = psutil.Process().memory_info().rss
    session = open_session(hostile.content("many-constants", "many"), "cpu", 1, MAX_NODES)
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
    generator = Generator(hostile.spiked("moody", nodes, **stored).SerializeToString(), "cpu", 1, 64)
    good = generator.generate(np.arange(3))
    with pytest.raises(TooLargeError, match=r"a run of 1 needs more memory than the [0-9.]+ GiB that there are for generators"):
        generator.generate(np.array([worst]))
    np.testing.assert_array_equal(generator.generate(np.arange(3)), good)


@pytest.mark.parametrize("kind", ["sparse", "expand", "endless-loop", "nested", "crowded", "unfolding"])
def test_it_is_not_imported_either(kind: str):
    content = hostile.content(kind, "bad")
    with pytest.raises(UserError) as refused:
        import_generator(content, Wanted(name="bad", title="Bad"))
    assert "\n" not in str(refused.value)


def test_functions_that_call_in_a_circle_are_not_unfolded():
    model = generators.model(generators.card("bad"))
    inner = [helper.make_node("F", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "F", ["x"], ["y"], inner, [helper.make_opsetid("", 18)]))
    model.graph.node[0].op_type = "F"
    with pytest.raises(ImportingError, match="unfolds to inf nodes"):
        import_generator(model.SerializeToString(), Wanted(name="bad", title="Bad"))


def test_what_lies_inside_functions_is_refused_with_them():
    """Nothing looks into their bodies: a custom operator, or a weight outside the file, could be there."""
    model = generators.model(generators.card("bad"))
    inner = [helper.make_node("Evil", ["x"], ["y"], domain="com.example")]
    model.functions.append(helper.make_function("", "F", ["x"], ["y"], inner, [helper.make_opsetid("", 18)]))
    with pytest.raises(ContractError, match="function 'F' of its own"):
        check_contract(model)

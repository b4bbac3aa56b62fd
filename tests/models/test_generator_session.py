"""Sessions of generators: the largest batch, padding, and the checks of the outputs."""

from typing import Any

import numpy as np
import pytest

from seedmint.models.card import Card, ImageOutput, SampleOutput
from seedmint.models.columns import Column
from seedmint.models.noise import noise
from seedmint.models.runtime import generator_session
from seedmint.models.runtime.generator_file import GeneratorError
from seedmint.models.runtime.generator_session import GeneratorSession
from seedmint.models.runtime.session import TooSlowError
from tests.support import generators
from tests.support.errors import raises

Z = noise("philox-normal-v1", 20, np.arange(5))
POINT = SampleOutput(kind="sample", shape=(2,), names=("x", "y"))


class Stub:
    """Stands in for the session of ONNX Runtime: records the inputs, and returns given outputs or raises an error."""

    num_graphs = 3

    def __init__(self, outputs: Any) -> None:
        self.outputs = outputs
        self.inputs: dict[str, Any] = {}

    def run(self, names: list[str], inputs: dict[str, Any]) -> list[Any]:
        self.names, self.inputs = names, inputs
        if isinstance(self.outputs, Exception):
            raise self.outputs
        return [self.outputs]


def opened(card: Card, **arguments: Any) -> GeneratorSession:
    return GeneratorSession(generators.model(card).SerializeToString(), **arguments)


def stubbed(card: Card, outputs: Any) -> tuple[GeneratorSession, Stub]:
    """Return a session that returns the given outputs."""
    session, stub = opened(card), Stub(outputs)
    session._session = stub  # type: ignore[assignment]
    return session, stub


@pytest.mark.parametrize(
    ("of_card", "argument", "limit_bytes", "expected"),
    [
        (None, None, 1 << 28, 64),
        (None, 100, 1 << 28, 100),
        (7, 100, 1 << 28, 7),
        (200, 100, 1 << 28, 100),
        (None, 100, 64 * 9, 9),  # an image has 64 bytes
        (None, 100, 64 * 9 - 1, 8),
        (None, 100, 1, 1),
    ],
)
def test_the_largest_batch_is_limited_by_card_argument_and_memory(
    monkeypatch: pytest.MonkeyPatch, of_card: int | None, argument: int | None, limit_bytes: int, expected: int
):
    monkeypatch.setattr(generator_session, "_MAX_OUTPUT_BYTES", limit_bytes)
    session = opened(generators.card("one", max_batch=of_card), **({} if argument is None else {"max_batch": argument}))
    assert (session.max_batch, session.batch_bytes) == (expected, expected * 64)


def test_the_output_of_one_batch_has_at_most_256_mib(monkeypatch: pytest.MonkeyPatch):
    card = generators.card("one", output=ImageOutput(height=1024, width=1024, channels=1))
    monkeypatch.setattr(generator_session, "parse_model", lambda content: None)
    monkeypatch.setattr(generator_session, "check_contract", lambda model: card)
    monkeypatch.setattr(generator_session, "count_nodes", lambda model: 1)
    monkeypatch.setattr(generator_session, "open_session", lambda *_: None)
    assert GeneratorSession(b"", max_batch=1000).max_batch == 256


def test_values_of_samples_have_four_bytes():
    assert opened(generators.card("one", output=POINT), max_batch=5).batch_bytes == 5 * 2 * 4


def test_padded_runs_give_the_same_bytes():
    session = opened(generators.card("one", classes=("a", "b")))
    labels = np.array([0, 1, 0, 1, 0])
    expected = session.run(Z, labels)
    for sizes in ((8,), (2, 5, 8), (5,), (1, 2)):
        session.batch_sizes = sizes
        assert session.run(Z, labels).tobytes() == expected.tobytes()


def test_inputs_are_padded_to_the_next_size_and_only_the_wanted_outputs_are_returned():
    outputs = np.arange(8 * 64, dtype=np.uint8).reshape(8, 8, 8, 1)
    session, stub = stubbed(generators.card("one", classes=("a",)), outputs)
    session.batch_sizes = (2, 8, 16)
    found = session.run(Z, np.zeros(5, np.int64))
    assert (found == outputs[:5]).all()
    assert len(found) == 5
    assert {name: array.shape for name, array in stub.inputs.items()} == {"z": (8, 20), "label": (8,)}
    assert (stub.inputs["z"][:5] == Z).all()
    assert not stub.inputs["z"][5:].any()
    assert stub.names == ["image"]
    assert session.num_graphs == 3


def test_a_batch_of_one_of_the_sizes_is_not_padded():
    session, stub = stubbed(generators.card("one"), np.zeros((5, 8, 8, 1), np.uint8))
    session.batch_sizes = (2, 5, 8)
    session.run(Z, None)
    assert stub.inputs["z"].shape == (5, 20)


@pytest.mark.parametrize("truncation", [None, np.full(5, 0.5, np.float32)])
def test_truncation_is_an_input_where_the_card_says_so(truncation: Any):
    session, stub = stubbed(generators.card("one", truncation="z"), np.zeros((5, 8, 8, 1), np.uint8))
    session.run(Z, None, truncation)
    assert set(stub.inputs) == {"z"}
    session.card = session.card.model_copy(update={"truncation": "input"})
    session.run(Z, None, truncation)
    expected = np.ones(5, np.float32) if truncation is None else truncation
    assert stub.inputs["truncation"].tolist() == expected.tolist()
    assert stub.inputs["truncation"].dtype == np.float32


@pytest.mark.parametrize(
    "outputs", [np.zeros((5, 8, 8, 3), np.uint8), np.zeros((4, 8, 8, 1), np.uint8), np.zeros((5, 8, 8, 1), np.int8)]
)
def test_outputs_that_differ_from_the_card_are_refused(outputs: Any):
    session, _ = stubbed(generators.card("one"), outputs)
    with raises(GeneratorError, "wrong_output"):
        session.run(Z, None)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused_except_in_the_padding(value: float):
    outputs = np.zeros((5, 2), np.float32)
    outputs[4, 0] = value
    session, _ = stubbed(generators.card("one", output=POINT), outputs)
    session.batch_sizes = (5,)
    assert session.run(Z[:4], None).shape == (4, 2)
    with raises(GeneratorError, "not_finite"):
        session.run(Z, None)


def test_codes_must_be_those_of_their_column_except_in_the_padding():
    columns = (Column(name="x", type="boolean", count=2), Column(name="y", type="integer", first=0, count=9))
    outputs = np.array([[0, 8], [1, 2], [1, 0], [0, 0], [2, 0]], np.float32)
    session, _ = stubbed(generators.card("one", output=POINT.model_copy(update={"columns": columns})), outputs)
    session.batch_sizes = (5,)
    assert session.run(Z[:4], None).tolist() == outputs[:4].tolist()
    with raises(GeneratorError, "wrong_code"):
        session.run(Z, None)


def test_errors_of_onnx_runtime_are_one_short_line():
    session, stub = stubbed(generators.card("one"), RuntimeError("x" * 1000 + "\nsecond line"))
    with raises(GeneratorError, "cannot_run"):
        session.run(Z, None)
    with pytest.raises(GeneratorError) as caught:
        session.run(Z, None)
    assert str(caught.value).count("x") == 300
    stub.outputs = RuntimeError()
    with raises(GeneratorError, "cannot_run"):
        session.run(Z, None)


def test_errors_with_a_cure_keep_their_reason(monkeypatch: pytest.MonkeyPatch):
    session, _ = stubbed(generators.card("one"), TooSlowError("slow"))
    with raises(TooSlowError, "too_slow"):
        session.run(Z, None)

    def refuse(*_: object) -> None:
        raise TooSlowError("slow")

    monkeypatch.setattr(generator_session, "open_session", refuse)
    with raises(TooSlowError, "too_slow"):
        opened(generators.card("one"))


def test_a_file_that_onnx_runtime_does_not_load_is_refused(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(generator_session, "open_session", refuse)
    with raises(GeneratorError, "cannot_run"):
        opened(generators.card("one"))


def test_the_session_has_the_provider_the_threads_and_the_nodes_of_the_file(monkeypatch: pytest.MonkeyPatch):
    content = generators.content("one")
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(generator_session, "open_session", lambda *arguments: calls.append(arguments))
    GeneratorSession(content)
    GeneratorSession(content, "cuda", 3)
    nodes = len(generators.model(generators.card("one")).graph.node)
    assert calls == [(content, "cpu", 1, nodes), (content, "cuda", 3, nodes)]

"""References of generator files: fewer seeds for slow generators and for large outputs."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seedmint.models.reference import digest_outputs
from seedmint.models.runtime import reference as module
from seedmint.models.runtime.generator_file import checked_card
from seedmint.models.runtime.reference import compute_reference, made_with, with_card, with_reference
from seedmint.service.runtime.generator import Generator
from tests.support import generators

MODULE = "seedmint.models.runtime.reference"


@pytest.mark.parametrize(
    ("limit", "value", "seeds"),
    [
        ("_MAX_BYTES", 64 * 64, 64),  # an output has 64 bytes
        ("_MAX_BYTES", 64 * 64 - 1, 32),
        ("_MAX_BYTES", 64 * 9, 8),
        ("_MAX_BYTES", 1, 1),
        ("_MAX_SECONDS", 0, 1),
        ("_MAX_SECONDS", 3600, 64),
    ],
)
def test_the_number_of_seeds_keeps_within_time_and_memory(monkeypatch: pytest.MonkeyPatch, limit: str, value: int, seeds: int):
    monkeypatch.setattr(f"{MODULE}._MAX_SECONDS", 3600)
    monkeypatch.setattr(f"{MODULE}.{limit}", value)
    content = with_reference(generators.model(generators.card("g", classes=("a", "b"))).SerializeToString())
    reference = checked_card(content).reference
    assert reference is not None
    assert reference.seeds == seeds
    generator = Generator(content, "cpu", 1, 64)
    assert (generator.determinism, generator.check.seeds) == ("exact", seeds)
    assert reference.sha256 == digest_outputs(generator.generate(np.arange(seeds)))


def test_the_reference_does_not_depend_on_the_batch_or_on_a_former_reference():
    content = generators.model(generators.card("g")).SerializeToString()
    limited = generators.model(generators.card("g", max_batch=7)).SerializeToString()
    reference = compute_reference(content, seeds=64)
    assert compute_reference(limited, seeds=64) == reference
    assert compute_reference(generators.of_another_machine(with_reference(content, seeds=64)), seeds=64) == reference
    assert reference.made_with == made_with("cpu")
    assert reference.made_with.features


def test_another_card_keeps_the_graph_and_other_metadata():
    model = generators.model(generators.card("g"))
    model.metadata_props.add(key="other", value="kept")
    content = with_card(model.SerializeToString(), generators.card("g", title="New"))
    assert checked_card(content).title == "New"
    assert b"kept" in content


def affordable(
    monkeypatch: pytest.MonkeyPatch,
    wall: list[float],
    processor: list[float] | None = None,
    provider: Any = "cpu",
    shape: tuple[int, ...] = (8, 8, 1),
    dtype: str = "uint8",
) -> int:
    """Return the number of seeds where one run after another takes this time on the clock and of the processor."""
    clocks = {"perf_counter": wall, "process_time": processor or wall}
    for name, seconds in clocks.items():
        readings = [reading for i, each in enumerate(seconds) for reading in (100.0 * (i + 1), 100.0 * (i + 1) + each)]
        monkeypatch.setattr(module.time, name, iter(readings).__next__)
    runs: list[int] = []
    monkeypatch.setattr(module, "reference_outputs", lambda session, count: runs.append(count))
    card = SimpleNamespace(output=SimpleNamespace(shape=shape, dtype=dtype))
    found = module._affordable_seeds(SimpleNamespace(card=card), provider)  # type: ignore[arg-type]
    assert runs == [1] * len(wall)
    return found


def test_a_fast_generator_has_the_most_seeds_after_one_run(monkeypatch: pytest.MonkeyPatch):
    assert affordable(monkeypatch, [2 / 64]) == 64


def test_a_slow_first_run_is_measured_again(monkeypatch: pytest.MonkeyPatch):
    assert affordable(monkeypatch, [1.0, 0.25]) == 8
    assert affordable(monkeypatch, [0.25, 1.0]) == 8
    assert affordable(monkeypatch, [9.0, 9.0]) == 1
    assert affordable(monkeypatch, [2.5 / 64, 2.5 / 64]) == 32


def test_the_processor_time_counts_on_the_cpu_only(monkeypatch: pytest.MonkeyPatch):
    assert affordable(monkeypatch, [50.0], [0.01]) == 64
    assert affordable(monkeypatch, [0.01], [50.0]) == 64
    assert affordable(monkeypatch, [0.5, 0.5], [0.01, 0.01], "cuda") == 4


@pytest.mark.parametrize(
    ("shape", "dtype", "seeds"),
    [((1024, 1024, 1), "uint8", 64), ((1024, 1025, 1), "uint8", 32), ((512, 512), "float32", 64), ((512, 513), "float32", 32)],
)
def test_a_reference_has_at_most_64_mib(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: str, seeds: int):
    assert affordable(monkeypatch, [0.0], shape=shape, dtype=dtype) == seeds


def test_a_reference_is_computed_with_one_thread_unless_another_number_is_given(monkeypatch: pytest.MonkeyPatch):
    opened: list[tuple[Any, ...]] = []
    session = module.GeneratorSession

    def open_recorded(content: bytes, *arguments: Any) -> Any:
        opened.append(arguments)
        return session(content, *arguments)

    monkeypatch.setattr(module, "GeneratorSession", open_recorded)
    content = generators.model(generators.card("g")).SerializeToString()
    compute_reference(content, seeds=1)
    with_reference(content, seeds=1)
    with_reference(content, "cpu", 2, 1)
    assert opened == [("cpu", 1), ("cpu", 1), ("cpu", 2)]

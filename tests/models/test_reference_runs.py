"""References of generator files: fewer seeds for slow generators and for large outputs."""

import numpy as np
import pytest

from seedmint.models.reference import digest_outputs
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

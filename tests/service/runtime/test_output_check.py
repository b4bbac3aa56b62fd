"""The check of a generator: its outputs against the reference of its card, and batches against each other."""

import math
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from seedmint.models.card import Card, ImageOutput, SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.reference import MadeWith, digest_outputs, reference_of
from seedmint.service.runtime.generator import Generator, check_truncation
from seedmint.service.runtime.output_check import OutputCheck, check_outputs
from tests.support import generators

MADE_WITH = MadeWith(onnxruntime="1.31.1", machine="x86_64", features=("X86_V2",), provider="cpu")
SIDE = 4


def image(seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
    return ((seeds[:, None] * 7 + np.arange(SIDE * SIDE)) % 200).astype(np.uint8).reshape(-1, SIDE, SIDE, 1)


def card(outputs: NDArray[np.uint8]) -> Card:
    reference = reference_of(outputs, MADE_WITH)
    return generators.card("g", output=ImageOutput(height=SIDE, width=SIDE, channels=1), reference=reference)


def checked(generate: Callable[[NDArray[np.int64]], NDArray[np.uint8]], count: int = 64, max_batch: int = 64) -> OutputCheck:
    return check_outputs(generate, card(image(np.arange(count))), max_batch)


@pytest.mark.parametrize(("count", "max_batch"), [(64, 64), (64, 256), (64, 1), (64, 7), (8, 64), (1, 1), (1, 64), (2, 2)])
def test_equal_outputs_in_all_batches_are_exact(count: int, max_batch: int):
    sizes = []

    def generate(seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
        sizes.append(len(seeds))
        return image(seeds)

    digest = digest_outputs(image(np.arange(count)))
    check = checked(generate, count, max_batch)
    assert check == OutputCheck(count, digest, digest, True, 0)
    assert check.determinism == "exact"
    assert {count, 1} <= set(sizes)
    assert max(sizes) == max(count, max_batch if max_batch > 1 else 1)


def test_the_difference_from_the_reference_is_measured():
    def generate(seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
        outputs = image(seeds)
        outputs[seeds == 63, 2, 1] += 9
        outputs[seeds == 3, 0, 0] += 2
        return outputs

    check = checked(generate)
    assert (check.determinism, check.difference, check.is_batch_independent) == ("approximate", 9, True)
    assert check.outputs == digest_outputs(generate(np.arange(64)))
    assert check.expected == digest_outputs(image(np.arange(64)))


@pytest.mark.parametrize("deviating", [1, 7, 100])
def test_outputs_that_depend_on_the_batch_are_approximate(deviating: int):
    check = checked(lambda seeds: image(seeds) + (len(seeds) == deviating) * np.uint8(5), max_batch=100)
    assert (check.determinism, check.difference, check.is_batch_independent) == ("approximate", 5, False)
    assert check.outputs == check.expected


def test_outputs_that_change_from_run_to_run_are_approximate():
    runs = []

    def generate(seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
        runs.append(seeds)
        return image(seeds) + np.uint8(len(runs) > 1)

    assert checked(generate, max_batch=1).determinism == "approximate"


def test_a_difference_that_no_stored_value_shows_is_unknown():
    random = np.random.RandomState(0)
    outputs = random.randint(0, 200, (64, 64, 64, 3)).astype(np.uint8)
    reference = reference_of(outputs, MADE_WITH)
    assert reference.values.seeds == 1
    described = generators.card("g", output=ImageOutput(height=64, width=64, channels=3), reference=reference)
    outputs[40] += 1
    check = check_outputs(lambda seeds: outputs[seeds], described, 64)
    assert (check.determinism, check.difference, check.is_batch_independent) == ("approximate", None, True)


def test_a_generator_whose_card_has_no_reference_is_approximate():
    generator = Generator(generators.model(generators.card("bare")).SerializeToString(), "cpu", 1, 64)
    assert generator.check.expected is None
    assert (generator.determinism, generator.check.difference) == ("approximate", None)
    assert generator.check.is_batch_independent


def test_a_graph_that_mixes_the_rows_of_a_batch_is_approximate():
    """The graph subtracts the mean of the batch from z."""
    model: onnx.ModelProto = generators.model(generators.card("mixed"), 1)
    model.graph.node.insert(0, helper.make_node("ReduceMean", ["z"], ["mean"], keepdims=1, axes=None))
    model.graph.node.insert(1, helper.make_node("Sub", ["z", "mean"], ["centred"]))
    next(node for node in model.graph.node if node.op_type == "MatMul").input[0] = "centred"
    check = Generator(generators.finished(model), "cpu", 1, 64).check
    assert (check.determinism, check.is_batch_independent) == ("approximate", False)
    assert check.difference is not None
    assert check.difference > 0


def test_samples_are_compared_in_their_units():
    shape = SampleOutput(kind="sample", shape=(2,), names=("x", "y"))
    outputs = np.linspace(-1, 1, 128, dtype=np.float32).reshape(64, 2)
    described = generators.card("s", output=shape, reference=reference_of(outputs, MADE_WITH))
    other = outputs.copy()
    other[5, 1] += 0.125
    assert check_outputs(lambda seeds: outputs[seeds], described, 64).determinism == "exact"
    found = check_outputs(lambda seeds: other[seeds], described, 64).difference
    assert found is not None
    assert math.isclose(found, 0.125, rel_tol=1e-6)


def test_a_generator_without_truncation_refuses_one():
    described = generators.card("g", truncation="none")
    assert check_truncation(1.0, described) == 1
    with pytest.raises(UserError) as raised:
        check_truncation(0.5, described)
    assert (raised.value.field, raised.value.reason) == ("truncation", "no_truncation")

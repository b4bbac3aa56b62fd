"""Recorded iterations give the bits of iterations without recordings.

Without a GPU, a stand-in of the recorder keeps the Python of the recorded iteration, as a CUDA graph does: its numbers and
decisions stay those of this iteration, and only tensors change. On a GPU, the last tests record real graphs.
"""

import pytest
import torch

from seedmint.training.datasets import load_dataset
from seedmint.training.optimization.device_inputs import DeviceInputs
from seedmint.training.optimization.iteration_graphs import IterationGraphs
from seedmint.training.recipes.schema import RecipeError, validate_recipe
from seedmint.training.runs.state import build_algorithm, load_tensors, tensors_of
from tests.support.errors import raises
from tests.support.recipes import ADAM, PAPER, PAPER_MINIMAX, recipe_document

CPU = torch.device("cpu")
ITERATIONS = 12
RISING = {**PAPER_MINIMAX["rule"]["generator"], "learning_rate": 0.01, "momentum": 0.0}
RESIDUAL = {"kind": "residual", "capacity": "small", "width": 4}
RECIPES = {
    "momentum and rmsprop, k = 2": PAPER_MINIMAX,
    "simultaneous, dropout, momentum that rises, ema that starts later": {
        **PAPER,
        "order": "simultaneous",
        "ema_start": 5,
        "rule": {"generator": RISING, "discriminator": RISING},
    },
    "labels, penalties every third update, schedules, augmentation": {
        "generator": RESIDUAL,
        "discriminator": RESIDUAL,
        "conditional": True,
        "objective": "relativistic",
        "penalty": {"r1": {"start": 0.0, "end": 1.0, "steps": 9}, "wgan_gp": 1.0, "every": 3},
        "augmentation": {"kind": "diffaugment"},
        "ema": {"start": 0.5, "end": 0.99, "steps": 10},
        "rule": {
            "generator": {**ADAM, "learning_rate": {"start": 1e-3, "end": 1e-4, "steps": 20}, "warmup": 5},
            "discriminator": ADAM,
        },
    },
    "convolutions, spectral normalization": {
        "discriminator": {"kind": "convolutional", "width": 8, "spectral_norm": True},
    },
}


class FrozenPython:
    """Stands for the recorder: a recording repeats the recorded iteration, whose Python does not change."""

    def __init__(self):
        self.recorded = 0

    def run(self, body):
        return body()

    def record(self, body):
        self.recorded += 1
        return body


def build(fields, device=CPU, **more):
    recipe = validate_recipe(recipe_document(**{**fields, **more}), "test")
    return build_algorithm(recipe, load_dataset(recipe.data), device)


def train(algorithm, first=0, last=ITERATIONS):
    return torch.stack([algorithm.iterate(iteration).cpu() for iteration in range(first, last)])


def assert_same_bits(first, second):
    tensors, others = tensors_of(first), tensors_of(second)
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name


@pytest.mark.parametrize("kind", RECIPES)
def test_recorded_python_gives_the_bits_of_new_python_and_nearly_those_of_the_host(kind):
    host, eager, recorded = (build(RECIPES[kind]) for _ in range(3))
    recorder = FrozenPython()
    for algorithm in (eager, recorded):
        algorithm.inputs = DeviceInputs(algorithm.recipe, algorithm.minibatches, CPU)
    recorded.graphs = IterationGraphs(recorder)
    statistics = [train(algorithm) for algorithm in (host, eager, recorded)]
    assert recorder.recorded > 0
    assert torch.equal(statistics[1], statistics[2])
    assert_same_bits(eager, recorded)
    torch.testing.assert_close(statistics[0], statistics[1], rtol=1e-3, atol=1e-4)
    for name, tensor in tensors_of(host).items():
        torch.testing.assert_close(tensor, tensors_of(eager)[name], rtol=1e-2, atol=2e-4, msg=name)


def test_resumed_recordings_continue_exactly():
    whole, first, second = (build(PAPER_MINIMAX) for _ in range(3))
    for algorithm in (whole, first, second):
        algorithm.inputs = DeviceInputs(algorithm.recipe, algorithm.minibatches, CPU)
        algorithm.graphs = IterationGraphs(FrozenPython())
    train(whole)
    train(first, last=7)
    load_tensors(second, tensors_of(first))
    train(second, first=7)
    assert_same_bits(whole, second)


def test_a_failed_recording_is_named_and_the_iterations_go_on():
    class NeedsTheHost(FrozenPython):
        def record(self, body):
            raise RuntimeError("operation not permitted when stream is capturing\nmore lines")

    algorithm, eager = build(PAPER_MINIMAX), build(PAPER_MINIMAX)
    for each in (algorithm, eager):
        each.inputs = DeviceInputs(each.recipe, each.minibatches, CPU)
    algorithm.graphs = IterationGraphs(NeedsTheHost())
    train(algorithm, last=5)
    train(eager, last=5)
    assert algorithm.graphs.failure == "operation not permitted when stream is capturing"
    assert_same_bits(algorithm, eager)


def test_graphs_that_must_be_recorded_need_a_gpu():
    with raises(RecipeError, "not_recordable", "cuda_graph"):
        build(PAPER_MINIMAX, cuda_graph="always")


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")


@needs_cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", RECIPES)
def test_cuda_graphs_give_the_bits_of_single_kernels(kind, precision):
    device = torch.device("cuda")
    recorded = build(RECIPES[kind], device, cuda_graph="always", precision=precision)
    eager = build(RECIPES[kind], device, cuda_graph="never", precision=precision)
    again = build(RECIPES[kind], device, cuda_graph="never", precision=precision)
    statistics = [train(algorithm) for algorithm in (recorded, eager, again)]
    assert recorded.graphs.failure is None
    if torch.equal(statistics[1], statistics[2]):  # this GPU repeats the same kernels exactly
        assert torch.equal(statistics[0], statistics[1])
        assert_same_bits(recorded, eager)
    else:
        torch.testing.assert_close(statistics[0], statistics[1], rtol=1e-2, atol=1e-3)


@needs_cuda
def test_after_a_failed_recording_on_a_gpu_the_iterations_draw_the_same_numbers():
    device = torch.device("cuda")
    recorded = build(PAPER, device, cuda_graph="always")
    eager = build(PAPER, device, cuda_graph="never")
    again = build(PAPER, device, cuda_graph="never")
    record = recorded.graphs._recorder.record

    def failing(body):
        return record(lambda: body() + body().sum().item())  # after all random kernels, a number that the host must read

    recorded.graphs._recorder.record = failing
    statistics = [train(algorithm) for algorithm in (recorded, eager, again)]
    assert recorded.graphs.failure is not None
    if torch.equal(statistics[1], statistics[2]):  # this GPU repeats the same kernels exactly
        assert torch.equal(statistics[0], statistics[1])
        assert_same_bits(recorded, eager)
    else:
        torch.testing.assert_close(statistics[0], statistics[1], rtol=1e-2, atol=1e-3)

"""Settings that depend on the machine are decided once, recorded in the run, and kept when the run is resumed."""

import pytest
import torch

from seedmint.training.recipes.schema import RecipeError, validate_recipe
from seedmint.training.runs import machine
from seedmint.training.runs.checkpoints import list_checkpoints, load_checkpoint
from seedmint.training.runs.directory import create_run, read_run_recipe, resume_run
from seedmint.training.runs.state import tensors_of
from tests.support.errors import raises
from tests.support.recipes import PAPER, recipe_document

CPU = torch.device("cpu")


def recipe(**fields):
    return validate_recipe(recipe_document(**{**PAPER, "steps": 6, **fields}), "test")


def measure(monkeypatch, seconds):
    """Give numbers of threads their duration of a step, on a machine of eight processors."""
    monkeypatch.setattr(machine, "num_processors", lambda: 8)
    monkeypatch.setattr(machine, "seconds_per_step", lambda recipe, *_: seconds[recipe.threads])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({1: 4.0, 2: 2.0, 4: 1.0, 8: 0.6}, 8),
        ({1: 4.0, 2: 2.1, 4: 2.05, 8: 0.1}, 2),  # each doubling must pay
        ({1: 1.0, 2: 1.2}, 1),
    ],
)
def test_threads_are_doubled_as_long_as_this_pays(monkeypatch, seconds, expected):
    measure(monkeypatch, seconds)
    assert machine.fit_threads(recipe(threads="auto"), None, CPU).threads == expected


def test_a_given_number_of_threads_and_a_gpu_are_not_measured(monkeypatch):
    measure(monkeypatch, {})
    assert machine.fit_threads(recipe(threads=3), None, CPU).threads == 3
    assert machine.fit_threads(recipe(threads="auto"), None, torch.device("mps")).threads == 1


@pytest.mark.parametrize(("features", "expected"), [({"avx2": True}, "float32"), ({"avx512_bf16": True}, "bfloat16")])
def test_precision_follows_the_flags_of_the_processor(monkeypatch, features, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert machine.fit_precision(recipe(precision="auto"), CPU).precision == expected
    assert machine.fit_precision(recipe(precision="bfloat16"), CPU).precision == "bfloat16"


def test_the_run_records_the_values_and_resumes_exactly_on_another_machine(tmp_path, monkeypatch):
    measure(monkeypatch, {1: 4.0, 2: 2.0, 4: 3.0})
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    whole = create_run(tmp_path / "whole", recipe(threads="auto", precision="auto"), CPU)
    whole.fit()
    part = create_run(tmp_path / "part", recipe(threads="auto", precision="auto", steps=3), CPU)
    part.fit()
    measure(monkeypatch, {})
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    recorded = read_run_recipe(tmp_path / "part")
    assert (recorded.threads, recorded.precision) == (2, "bfloat16")
    resumed = resume_run(tmp_path / "part", CPU, pytest.fail, ["steps=6"])
    events = []
    resumed.fit(events.append)
    _, path = list_checkpoints(tmp_path / "part" / "checkpoints")[-1]
    expected = tensors_of(whole.algorithm)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in load_checkpoint(path).tensors.items())
    kinds = [diagnostic.kind for event in events for diagnostic in event.diagnostics]
    assert kinds.count("emulated") == 1


def test_a_run_cannot_change_to_auto(tmp_path):
    create_run(tmp_path / "r", recipe(), CPU).fit()
    with raises(RecipeError, "recipe_changed", "threads"):
        resume_run(tmp_path / "r", CPU, pytest.fail, ["threads=auto"])


@pytest.mark.parametrize("value", [0, 257, "many"])
def test_other_numbers_of_threads_are_refused(value):
    with raises(RecipeError, "invalid_recipe", "threads"):
        recipe(threads=value)

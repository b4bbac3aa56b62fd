"""Diagnostics and divergence, each caused by a small real run."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.datasets import load_dataset
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.schema import Watch, validate_recipe
from seedmint.training.runs.checkpoints import list_checkpoints, load_checkpoint
from seedmint.training.runs.diagnostics import Diagnostics, Diversity, mean_distance
from seedmint.training.runs.directory import create_run, resume_run
from seedmint.training.runs.errors import DivergenceError
from seedmint.training.runs.export_run import export_run
from seedmint.training.runs.hooks import Hook
from seedmint.training.runs.state import build_algorithm, tensors_of
from tests.support.recipes import ADAM, PAPER, recipe_document

CPU = torch.device("cpu")
FROZEN = {"kind": "momentum", "learning_rate": 1e-12, "momentum": 0.0}
HUGE_STEPS = {**ADAM, "learning_rate": 1e9}
LARGE_STEPS = {"kind": "momentum", "learning_rate": 30.0}
EVERY = {"log": 5, "preview": 1000, "checkpoint": 1000}


def train(directory, **fields):
    run = create_run(directory, validate_recipe(recipe_document(**fields), "test"), CPU)
    events = []
    run.fit(events.append)
    return run, [(event.step, diagnostic) for event in events for diagnostic in event.diagnostics]


def log(directory):
    return [json.loads(line) for line in (directory / "log.jsonl").open()]


DIVERGING = {
    "a weight before V": {**PAPER, "rule": {"generator": LARGE_STEPS, "discriminator": LARGE_STEPS}},
    "V before any weight": {**PAPER, "rule": {"generator": {**LARGE_STEPS, "learning_rate": 1e38}, "discriminator": FROZEN}},
    "only Adam's averages": {**PAPER, "rule": {"generator": HUGE_STEPS, "discriminator": HUGE_STEPS}},
}


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
@pytest.mark.parametrize("kind", DIVERGING)
@pytest.mark.parametrize("every", [{"log": 40, "checkpoint": 40}, {"log": 40, "checkpoint": 3}, {"log": 1, "checkpoint": 40}])
def test_divergence_names_the_first_step_and_tensor_and_keeps_the_checkpoint(tmp_path, kind, every, order):
    document = recipe_document(steps=40, ema=0.0, order=order, every={"preview": 1000, **every}, **DIVERGING[kind])
    step, tensors, value = find_first_nonfinite(validate_recipe(document, "test"))
    run = create_run(tmp_path / "r", validate_recipe(document, "test"), CPU)
    with pytest.raises(DivergenceError) as caught:
        run.fit(lambda report: None)
    error = caught.value
    assert (error.step, error.reason) == (step, "diverged")
    assert error.name in tensors if np.isfinite(value) else error.name == "V"
    saved = [number for number, _ in list_checkpoints(tmp_path / "r" / "checkpoints")]
    good = (step - 1) // every["checkpoint"] * every["checkpoint"]
    assert saved[-1:] == ([good] if good else [])
    assert error.checkpoint_step == (good or None)
    for _, path in list_checkpoints(tmp_path / "r" / "checkpoints"):
        assert all(bool(tensor.isfinite().all()) for tensor in load_checkpoint(path).tensors.values())


def find_first_nonfinite(recipe):
    """Check every tensor after every step. Return the first step, from 1, all nonfinite tensors, and V of this step."""
    algorithm = build_algorithm(recipe, load_dataset(recipe.data), CPU)
    names = {
        f"{part}_optimizer/{i}": f"{part}.{name}"
        for part, network in (("generator", algorithm.generator), ("discriminator", algorithm.discriminator))
        for i, (name, _) in enumerate(network.named_parameters())
    }
    for iteration in range(recipe.steps):
        value = float(algorithm.iterate(iteration)[0])
        bad = {key for key, tensor in tensors_of(algorithm).items() if not bool(tensor.isfinite().all())}
        if bad or not np.isfinite(value):
            optimizer = {key for key in bad if "_optimizer/" in key}
            entries = {f"{key.rsplit('/', 1)[1]} of {names[key.rsplit('/', 1)[0]]}" for key in optimizer}
            return iteration + 1, entries | {key.replace("/", ".", 1) for key in bad - optimizer}, value
    raise AssertionError("the run does not diverge")


def test_divergence_that_does_not_occur_again_is_reported(tmp_path):
    run = create_run(
        tmp_path / "r", validate_recipe(recipe_document(every={"log": 5, "preview": 10, "checkpoint": 5}), "test"), CPU
    )

    class CorruptWeights(Hook):
        def on_checkpoint(self, trainer, path):
            if trainer.step == 10:
                with torch.no_grad():
                    trainer.algorithm.generator.output.bias.fill_(float("inf"))

    run.hooks.append(CorruptWeights())

    with pytest.raises(DivergenceError) as caught:
        run.fit()
    error = caught.value
    assert (error.reason, error.step, error.name, error.checkpoint_step) == ("diverged_once", 15, None, 10)
    again = resume_run(tmp_path / "r", CPU, pytest.fail)
    again.fit(lambda report: None)
    assert again.step == 20


def test_saturation_is_reported_once(tmp_path):
    rule = {"generator": FROZEN, "discriminator": {**ADAM, "learning_rate": 1e-2}}
    strong = {"kind": "convolutional", "width": 8, "spectral_norm": False}
    _, found = train(tmp_path / "r", steps=150, discriminator=strong, rule=rule, every=EVERY)
    assert [(diagnostic.kind, diagnostic.is_warning) for _, diagnostic in found] == [("saturated", True)]
    entries = log(tmp_path / "r")
    (reported,) = [entry for entry in entries if "diagnostic" in entry]
    before = [entry for entry in entries if "V" in entry and entry["step"] <= reported["step"]]
    saturated = [entry["D(x)"] > 0.99 and entry["D(G(z))"] < 0.01 for entry in before]
    assert all(saturated[-10:])
    assert not all(saturated[-11:])
    assert reported["diagnostic"] == "saturated"
    tags = EventAccumulator(str(tmp_path / "r" / "tensorboard")).Reload().Tags()
    assert "saturated/text_summary" in tags["tensors"]


@pytest.mark.parametrize("conditional", [False, True])
def test_collapse_is_reported(tmp_path, conditional):
    collapsed = {
        "generator": {"kind": "paper", "width": 32, "init": 1e-6},
        "rule": {"generator": FROZEN, "discriminator": ADAM},
    }
    every = {"log": 1000, "preview": 5, "checkpoint": 1000}
    _, found = train(tmp_path / "r", steps=30, conditional=conditional, ema=0.0, every=every, **collapsed)
    assert [(step, diagnostic.kind, diagnostic.is_warning) for step, diagnostic in found] == [(15, "collapsed", True)]
    diversity = [entry["diversity"] for entry in log(tmp_path / "r") if "diversity" in entry]
    assert diversity == pytest.approx([0.0] * 6, abs=0.01)


def test_diversity_is_relative_to_the_data():
    digits = load_dataset(Data(source="digits"))
    images, labels = digits.images / 255, digits.labels
    for classes in (labels, None):
        diversity, subset_labels = Diversity(images, classes), None if classes is None else labels[::7]
        assert diversity.measure(images[::7], subset_labels) == pytest.approx(1.0, abs=0.05)
        assert diversity.measure(images[::7] / 2, subset_labels) == pytest.approx(0.5, abs=0.025)
    assert Diversity(np.zeros((9, 4)), None).measure(images[:9], None) is None


def equilibrium_fields(**watch):
    rules = {"generator": FROZEN, "discriminator": FROZEN}
    return {**PAPER, "steps": 40, "rule": rules, "every": EVERY, "watch": {"reports": 4, **watch}}


def test_equilibrium_is_reported_and_can_end_the_run(tmp_path):
    run, found = train(tmp_path / "on", **equilibrium_fields())
    assert [(step, diagnostic.kind, diagnostic.is_warning) for step, diagnostic in found] == [(20, "equilibrium", False)]
    assert run.step == 40
    run, found = train(tmp_path / "stopped", **equilibrium_fields(stop_at_equilibrium=True))
    assert [(step, diagnostic.kind) for step, diagnostic in found] == [(20, "equilibrium")]
    assert (run.step, run.finished, run.interrupted_by) == (20, True, None)
    assert [path.name for path in (tmp_path / "stopped" / "previews").iterdir()] == ["step-000000020.png"]
    assert export_run(tmp_path / "stopped", "done", None, None, None)
    assert resume_run(tmp_path / "stopped", CPU, pytest.fail).finished
    again = resume_run(tmp_path / "stopped", CPU, pytest.fail, ["watch.stop_at_equilibrium=false"])
    again.fit(lambda report: None)
    assert again.step == 40
    whole, stopped = (load_checkpoint(list_checkpoints(tmp_path / n / "checkpoints")[-1][1]) for n in ("on", "stopped"))
    assert all(torch.equal(whole.tensors[name], stopped.tensors[name]) for name in whole.tensors)


def test_counts_continue_after_an_interruption(tmp_path, monkeypatch):
    document = recipe_document(**{**equilibrium_fields(), "every": {"log": 5, "preview": 1000, "checkpoint": 10}})
    run = create_run(tmp_path / "r", validate_recipe(document, "test"), CPU)
    iterate = Algorithm1.iterate

    def interrupted_iterate(self, iteration):
        if iteration == 13:
            raise KeyboardInterrupt
        return iterate(self, iteration)

    monkeypatch.setattr(Algorithm1, "iterate", interrupted_iterate)
    with pytest.raises(KeyboardInterrupt):
        run.fit(lambda report: None)
    monkeypatch.setattr(Algorithm1, "iterate", iterate)
    events = []
    resume_run(tmp_path / "r", CPU, pytest.fail).fit(events.append)
    assert [(event.step, diagnostic.kind) for event in events for diagnostic in event.diagnostics] == [(20, "equilibrium")]


def test_condition_that_ends_and_returns_is_reported_again():
    diagnostics = Diagnostics(Watch(reports=2))
    counts = [len(diagnostics.check_statistics(*pair)) for pair in [(1.0, 0.0)] * 4 + [(0.7, 0.3)] + [(1.0, 0.0)] * 3]
    assert counts == [0, 1, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("labelled", [False, True])
def test_mean_distance_matches_scipy(labelled):
    random = np.random.default_rng(0)
    examples = random.integers(0, 256, (40, 5, 5, 3), dtype=np.uint8)
    labels = random.integers(0, 3, 40)
    groups = [examples[labels == label] for label in range(3)] if labelled else [examples]
    expected = np.concatenate([pdist(group.reshape(len(group), -1).astype(np.float64)) for group in groups]).mean()
    assert mean_distance(examples, labels if labelled else None) == pytest.approx(expected, rel=1e-9)
    assert mean_distance(examples[:1], None) is None

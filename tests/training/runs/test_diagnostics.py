"""What goes wrong is noticed: each trouble provoked by a real small run."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.datasets import load_dataset
from seedmint.training.recipes.schema import Data, Watch, validated
from seedmint.training.runs.checkpoints import list_checkpoints, load_checkpoint
from seedmint.training.runs.diagnostics import Diagnostics, Diversity, spread
from seedmint.training.runs.directory import create, reopen
from seedmint.training.runs.export_run import export_run
from seedmint.training.runs.run import TrainingError
from seedmint.training.runs.state import build, tensors_of
from tests.support.recipes import ADAM, recipe_document

CPU = torch.device("cpu")
STILL = {"kind": "momentum", "learning_rate": 1e-12, "momentum": 0.0}
FAR = {**ADAM, "learning_rate": 1e9}
WILD = {"kind": "momentum", "learning_rate": 30.0}
PAPER = {"generator": {"kind": "paper", "width": 32}, "discriminator": {"kind": "paper", "width": 8}}
EVERY = {"log": 5, "preview": 1000, "checkpoint": 1000}


def trained(directory, **fields):
    run = create(directory, validated(recipe_document(**fields), "test"), CPU)
    reports = []
    run.train(reports.append)
    return run, [(report.step, note) for report in reports for note in report.notes]


def log(directory):
    return [json.loads(line) for line in (directory / "log.jsonl").open()]


DIVERGING = {
    "weights, while V is finite still": {**PAPER, "rule": {"generator": WILD, "discriminator": WILD}},
    "V, before any weight": {**PAPER, "rule": {"generator": {**WILD, "learning_rate": 1e38}, "discriminator": STILL}},
    "Adam's averages alone": {**PAPER, "rule": {"generator": FAR, "discriminator": FAR}},
}


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
@pytest.mark.parametrize("kind", DIVERGING)
@pytest.mark.parametrize("every", [{"log": 40, "checkpoint": 40}, {"log": 40, "checkpoint": 3}, {"log": 1, "checkpoint": 40}])
def test_what_is_not_finite_is_named_with_its_step_and_the_last_good_checkpoint_kept(tmp_path, kind, every, order):
    document = recipe_document(steps=40, ema=0.0, order=order, every={"preview": 1000, **every}, **DIVERGING[kind])
    step, tensors, value = first_nonfinite_by_looking_always(validated(document, "test"))
    run = create(tmp_path / "r", validated(document, "test"), CPU)
    with pytest.raises(TrainingError) as error:
        run.train(lambda report: None)
    message = str(error.value)
    assert f"in step {step};" in message
    named = message.removeprefix("training diverged: ").split(" is ")[0]
    assert named in tensors if np.isfinite(value) else named == "V"
    saved = [number for number, _ in list_checkpoints(tmp_path / "r" / "checkpoints")]
    good = (step - 1) // every["checkpoint"] * every["checkpoint"]
    assert saved[-1:] == ([good] if good else [])
    assert (f"the checkpoint of step {good} is kept" if good else "nothing was saved before") in message
    for _, path in list_checkpoints(tmp_path / "r" / "checkpoints"):
        assert all(bool(tensor.isfinite().all()) for tensor in load_checkpoint(path).tensors.values())


def first_nonfinite_by_looking_always(recipe):
    """The step, from 1, the names of all tensors that are not finite after it, and V in it."""
    algorithm = build(recipe, load_dataset(recipe.data), CPU)
    names = {
        f"{part}_rule/{i}": f"{part}.{name}"
        for part, network in (("generator", algorithm.generator), ("discriminator", algorithm.discriminator))
        for i, (name, _) in enumerate(network.named_parameters())
    }
    for iteration in range(recipe.steps):
        value = float(algorithm.iterate(iteration)[0])
        bad = {key for key, tensor in tensors_of(algorithm).items() if not bool(tensor.isfinite().all())}
        if bad or not np.isfinite(value):
            rule, weights = ({key for key in bad if ("_rule/" in key) is so} for so in (True, False))
            of_rule = {f"{key.rsplit('/', 1)[1]} of {names[key.rsplit('/', 1)[0]]}" for key in rule}
            return iteration + 1, of_rule | {key.replace("/", ".", 1) for key in weights}, value
    raise AssertionError("it does not diverge")


def test_what_does_not_come_back_when_repeated_is_told_as_a_fault_of_the_machine(tmp_path):
    run = create(tmp_path / "r", validated(recipe_document(every={"log": 5, "preview": 10, "checkpoint": 5}), "test"), CPU)

    def strike(path):
        if run.step == 10:
            with torch.no_grad():
                run.algorithm.generator.output.bias.fill_(float("inf"))

    with pytest.raises(TrainingError, match=r"at or before step 15, but not when .* after 10 were repeated.*step 10 is kept"):
        run.train(lambda report: None, strike)
    again = reopen(tmp_path / "r", CPU, pytest.fail)
    again.train(lambda report: None)
    assert again.step == 20


def test_a_saturated_discriminator_is_told_once(tmp_path):
    rule = {"generator": STILL, "discriminator": {**ADAM, "learning_rate": 1e-2}}
    strong = {"kind": "convolutional", "width": 8, "spectral_norm": False}
    _, notes = trained(tmp_path / "r", steps=150, discriminator=strong, rule=rule, every=EVERY)
    assert [(note.kind, note.warning) for _, note in notes] == [("saturated", True)]
    entries = log(tmp_path / "r")
    (told,) = [entry for entry in entries if "note" in entry]
    before = [entry for entry in entries if "V" in entry and entry["step"] <= told["step"]]
    sure = [entry["D(x)"] > 0.99 and entry["D(G(z))"] < 0.01 for entry in before]
    assert all(sure[-10:])
    assert not all(sure[-11:])
    assert told["note"] == "saturated"
    assert "D(x) 0.99" in told["text"] or "D(x) 1.0" in told["text"]
    tags = EventAccumulator(str(tmp_path / "r" / "tensorboard")).Reload().Tags()
    assert "saturated/text_summary" in tags["tensors"]


@pytest.mark.parametrize("conditional", [False, True])
def test_a_generator_that_makes_one_image_for_all_z_is_told_as_collapsing(tmp_path, conditional):
    collapsed = {"generator": {"kind": "paper", "width": 32, "init": 1e-6}, "rule": {"generator": STILL, "discriminator": ADAM}}
    every = {"log": 1000, "preview": 5, "checkpoint": 1000}
    _, notes = trained(tmp_path / "r", steps=30, conditional=conditional, ema=0.0, every=every, **collapsed)
    assert [(step, note.kind, note.warning) for step, note in notes] == [(15, "collapsed", True)]
    diversity = [entry["diversity"] for entry in log(tmp_path / "r") if "diversity" in entry]
    assert diversity == pytest.approx([0.0] * 6, abs=0.01)


def test_the_data_themselves_are_as_diverse_as_the_data_and_half_of_their_contrast_half_as_much():
    digits = load_dataset(Data(source="digits"))
    images, labels = digits.images / 255, digits.labels
    for classes in (labels, None):
        diversity, some = Diversity(images, classes), None if classes is None else labels[::7]
        assert diversity.of(images[::7], some) == pytest.approx(1.0, abs=0.05)
        assert diversity.of(images[::7] / 2, some) == pytest.approx(0.5, abs=0.025)
    assert Diversity(np.zeros((9, 4)), None).of(images[:9], None) is None


def weak(**watch):
    rules = {"generator": STILL, "discriminator": STILL}
    return {**PAPER, "steps": 40, "rule": rules, "every": EVERY, "watch": {"reports": 4, **watch}}


def test_the_equilibrium_is_noted_and_ends_the_run_where_asked(tmp_path):
    run, notes = trained(tmp_path / "on", **weak())
    assert [(step, note.kind, note.warning) for step, note in notes] == [(20, "equilibrium", False)]
    assert run.step == 40
    run, notes = trained(tmp_path / "stopped", **weak(stop_at_equilibrium=True))
    assert [(step, note.kind) for step, note in notes] == [(20, "equilibrium")]
    assert (run.step, run.finished, run.interrupted) == (20, True, None)
    assert [path.name for path in (tmp_path / "stopped" / "previews").iterdir()] == ["step-000000020.png"]
    assert export_run(tmp_path / "stopped", "done", None, None, None)
    assert reopen(tmp_path / "stopped", CPU, pytest.fail).finished
    again = reopen(tmp_path / "stopped", CPU, pytest.fail, ["watch.stop_at_equilibrium=false"])
    again.train(lambda report: None)
    assert again.step == 40
    one, other = (load_checkpoint(list_checkpoints(tmp_path / n / "checkpoints")[-1][1]) for n in ("on", "stopped"))
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def test_counting_goes_on_across_an_interruption(tmp_path, monkeypatch):
    document = recipe_document(**{**weak(), "every": {"log": 5, "preview": 1000, "checkpoint": 10}})
    run = create(tmp_path / "r", validated(document, "test"), CPU)
    iterate = Algorithm1.iterate

    def dies(self, iteration):
        if iteration == 13:
            raise KeyboardInterrupt
        return iterate(self, iteration)

    monkeypatch.setattr(Algorithm1, "iterate", dies)
    with pytest.raises(KeyboardInterrupt):
        run.train(lambda report: None)
    monkeypatch.setattr(Algorithm1, "iterate", iterate)
    reports = []
    reopen(tmp_path / "r", CPU, pytest.fail).train(reports.append)
    assert [(report.step, note.kind) for report in reports for note in report.notes] == [(20, "equilibrium")]


def test_a_trouble_that_ends_and_returns_is_told_again():
    diagnostics = Diagnostics(Watch(reports=2))
    seen = [len(diagnostics.statistics(*pair)) for pair in [(1.0, 0.0)] * 4 + [(0.7, 0.3)] + [(1.0, 0.0)] * 3]
    assert seen == [0, 1, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("labelled", [False, True])
def test_the_spread_is_the_mean_distance_of_pairs(labelled):
    random = np.random.default_rng(0)
    examples = random.integers(0, 256, (40, 5, 5, 3), dtype=np.uint8)
    labels = random.integers(0, 3, 40)
    rows = [examples[labels == label] for label in range(3)] if labelled else [examples]
    expected = np.concatenate([pdist(some.reshape(len(some), -1).astype(np.float64)) for some in rows]).mean()
    assert spread(examples, labels if labelled else None) == pytest.approx(expected, rel=1e-9)
    assert spread(examples[:1], None) is None

"""`keep_best`, `early_stop` and `--from RUN`."""

import pytest
import torch

from seedmint.models.provenance import Metric
from seedmint.training.evaluation.generator_file import GeneratorFile
from seedmint.training.evaluation.metric_families import FAMILIES
from seedmint.training.recipes.schema import RecipeError, validate_recipe
from seedmint.training.runs import metrics_hook
from seedmint.training.runs.best import _CRITERIA, update_best
from seedmint.training.runs.checkpoints import list_checkpoints
from seedmint.training.runs.directory import create_run, resume_run
from seedmint.training.runs.errors import TrainingError
from seedmint.training.runs.export_run import export_run
from seedmint.training.runs.state import tensors_of
from tests.support.errors import raises
from tests.support.recipes import recipe_document

CPU = torch.device("cpu")


def start(directory, start=None, **fields):
    return create_run(directory, validate_recipe(recipe_document(**fields), "test"), CPU, start=start)


def metric(name, value):
    return Metric(metric=name, protocol="", value=value, samples=1)


def test_the_best_value_and_the_measurements_since():
    best = None
    for step, value in enumerate([3, 2, 4, 5], 1):
        best = update_best(best, "frechet", [metric("kid-x", 0), metric("frechet-x", value)], step)
    assert best == ("frechet", 2, 2, 2)
    assert update_best(best, "prdc", [metric("coverage-x", 0.5)], 9) == ("prdc", 0.5, 9, 0)
    assert update_best(None, "prdc", [], 9) is None


def test_every_criterion_is_a_metric_of_its_family():
    for name, criterion in _CRITERIA.items():
        assert any(criterion.prefix.startswith(prefix) for prefix in FAMILIES[name].prefixes)


WATCHED = {
    "metrics": ["random-features"],
    "keep_best": "random-features",
    "early_stop": 2,
    "steps": 40,
    "every": {"log": 5, "preview": 1000, "checkpoint": 5, "evaluate": 5},
}


@pytest.fixture
def values(monkeypatch):
    """The measurements of a run: the best is the second."""
    values = {5: 3.0, 10: 1.0, 15: 2.0, 20: 4.0}

    def measure(self, generator):
        return (metric("random-conv-v1-frechet", values[self.step]),)

    def remember(self, trainer):
        self.step = trainer.state.step
        original(self, trainer)

    original = metrics_hook.MetricsHook.on_step_end
    monkeypatch.setattr(metrics_hook.MetricsHook, "on_step_end", remember)
    monkeypatch.setattr(metrics_hook.MetricsHook, "_measure", measure)


@pytest.mark.usefixtures("values")
def test_the_best_checkpoint_is_kept_and_the_run_stops_early(tmp_path):
    run = start(tmp_path / "run", **WATCHED)
    run.fit()
    assert (run.step, run.finished) == (20, True)
    assert [step for step, _ in list_checkpoints(tmp_path / "run" / "best")] == [10]
    assert GeneratorFile(export_run(tmp_path / "run", "x", None, None, None, best=True)).card.provenance.steps == 10
    assert GeneratorFile(export_run(tmp_path / "run", "x", None, None, None)).card.provenance.steps == 20


@pytest.mark.usefixtures("values")
def test_a_resumed_run_stops_at_the_same_step(tmp_path):
    start(tmp_path / "run", **{**WATCHED, "steps": 10}).fit()
    resumed = resume_run(tmp_path / "run", CPU, pytest.fail, ["steps=40"])
    resumed.fit()
    assert (resumed.step, resumed.state.best) == (20, ("random-features", 1.0, 10, 2))


def test_contradictory_fields_are_refused():
    for fields in ({"keep_best": "frechet"}, {"early_stop": 3}):
        with raises(RecipeError, "invalid_recipe"):
            validate_recipe(recipe_document(**fields), "test")


def test_a_run_starts_from_the_weights_of_another_run(tmp_path):
    first = start(tmp_path / "first", steps=5)
    first.fit()
    second = start(tmp_path / "second", start=tmp_path / "first", steps=5)
    before, after = tensors_of(first.algorithm), tensors_of(second.algorithm)
    networks = [key for key in after if key.startswith(("generator/", "discriminator/", "ema/"))]
    assert all(torch.equal(after[key], before[key]) for key in networks)
    origin = second.recipe.started_from
    assert (origin.name, origin.step) == ("small", 5)
    assert origin.recipe_digest == first.recipe.digest()
    whole = {key: tensor.clone() for key, tensor in _finish(second).items()}
    card = GeneratorFile(export_run(tmp_path / "second", "x", None, None, None)).card
    assert card.provenance.recipe["started_from"]["step"] == 5
    start(tmp_path / "again", start=tmp_path / "first", steps=5)  # killed before its first step
    resumed = _finish(resume_run(tmp_path / "again", CPU, pytest.fail))
    assert all(torch.equal(tensor, resumed[key]) for key, tensor in whole.items())


def test_another_discriminator_starts_anew(tmp_path):
    narrow = {"data": {"source": "ring-2d"}, "generator": {"kind": "mlp", "width": 8}, "steps": 5}
    first = start(tmp_path / "first", **narrow, discriminator={"kind": "mlp", "width": 8})
    first.fit()
    before = tensors_of(first.algorithm)
    octaves = {**narrow, "discriminator": {"kind": "mlp", "width": 8, "octaves": 2}}
    fresh = tensors_of(start(tmp_path / "fresh", **octaves).algorithm)
    notes = []
    recipe = validate_recipe(recipe_document(**octaves), "test")
    second = create_run(tmp_path / "second", recipe, CPU, start=tmp_path / "first", on_note=notes.append)
    after = tensors_of(second.algorithm)
    assert len(notes) == 1
    origin = second.recipe.started_from
    assert (origin.name, origin.step, origin.recipe_digest) == ("small", 5, first.recipe.digest())
    for key, tensor in after.items():
        if key.startswith(("generator/", "ema/", "discriminator/")):
            assert torch.equal(tensor, fresh[key] if key.startswith("discriminator/") else before[key])
    whole = {key: tensor.clone() for key, tensor in _finish(second).items()}
    again = create_run(tmp_path / "again", recipe.model_copy(update={"steps": 3}), CPU, start=tmp_path / "first")
    again.fit()
    resumed = _finish(resume_run(tmp_path / "again", CPU, pytest.fail, ["steps=5"]))
    assert all(torch.equal(tensor, resumed[key]) for key, tensor in whole.items())


def _finish(run):
    run.fit()
    return tensors_of(run.algorithm)


def test_weights_of_other_networks_are_refused(tmp_path):
    start(tmp_path / "first", steps=1).fit()
    wider = {"kind": "convolutional", "width": 16}
    with raises(TrainingError, "other_networks", "from_run"):
        start(tmp_path / "second", start=tmp_path / "first", generator=wider, discriminator=wider)
    assert not (tmp_path / "second").exists()
    with raises(TrainingError, "no_run"):
        start(tmp_path / "second", start=tmp_path / "nowhere")

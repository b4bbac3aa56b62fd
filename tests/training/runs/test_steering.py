"""Watching and steering a run: previews by time and at a stop, held-out logits, other learning rates, full disks, versions."""

import errno
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import nn

from seedmint.training.datasets import Dataset, load_dataset
from seedmint.training.evaluation.generator_file import GeneratorFile
from seedmint.training.recipes.schema import RecipeError, validate_recipe
from seedmint.training.runs import hooks
from seedmint.training.runs.checkpoints import list_checkpoints, load_checkpoint, save_checkpoint
from seedmint.training.runs.diagnostics import Diagnostics
from seedmint.training.runs.directory import create_run, resume_run
from seedmint.training.runs.errors import TrainingError
from seedmint.training.runs.export_run import export_run
from seedmint.training.runs.held_out import HeldOutLogits
from seedmint.training.runs.progress import HELD_OUT_JSD, HELD_OUT_JSD_ERROR
from seedmint.training.runs.state import tensors_of
from tests.support.errors import raises
from tests.support.icons import write_icons
from tests.support.recipes import recipe_document

CPU = torch.device("cpu")
RARELY = {"log": 5, "preview": 1000, "checkpoint": 1000}


def start(directory, **fields):
    return create_run(directory, validate_recipe(recipe_document(**fields), "test"), CPU)


def previews(directory):
    return [path.name for path in sorted((directory / "previews").iterdir())]


def weights(trainer):
    return {key: tensor.clone() for key, tensor in tensors_of(trainer.algorithm).items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_previews_are_due_by_time_and_change_nothing(tmp_path, monkeypatch):
    plain = start(tmp_path / "plain", steps=6, every=RARELY)
    plain.fit()
    assert previews(tmp_path / "plain") == ["step-000000006.png"]
    monkeypatch.setattr(hooks, "_FIRST_PREVIEW_SECONDS", 0)
    timed = start(tmp_path / "timed", steps=6, every={**RARELY, "preview_seconds": 1000})
    timed.fit()
    assert previews(tmp_path / "timed") == ["step-000000001.png", "step-000000006.png"]
    assert_same(weights(plain), weights(timed))


def test_a_stop_writes_a_preview(tmp_path):
    run = start(tmp_path / "run", steps=1000, every={"log": 3, "preview": 1000, "checkpoint": 1000})
    run.fit(lambda _: os.kill(os.getpid(), signal.SIGINT))
    assert run.interrupted_by is signal.SIGINT
    assert previews(tmp_path / "run") == [f"step-{run.step:09}.png"]


def test_real_images_of_the_same_labels_stand_beside_the_generated_images():
    digits = load_dataset(validate_recipe(recipe_document(), "test").data)
    labels = np.array([3, 1, 3, 7])
    real = hooks._real_images(digits, labels, 4)
    assert real.shape == (4, 8, 8, 1)
    threes = digits.images[digits.labels == 3]
    np.testing.assert_array_equal(real[[0, 2], :, :, 0], threes[:2, 0])


def test_a_preview_is_twice_as_wide_as_high(tmp_path):
    start(tmp_path / "run", steps=1).fit()
    width, height = Image.open(tmp_path / "run" / "previews" / "step-000000001.png").size
    assert width > 1.9 * height


class Brightness(nn.Module):
    def forward(self, x, label):
        return x.mean(dim=(1, 2, 3))


def dataset(levels):
    images = np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), 1, 8, 8))
    return Dataset("x", images, None, None, None)


def test_the_preference_is_the_share_of_ordered_pairs():
    train, held_out = [10, 20, 30, 30], [5, 20, 25]
    expected = np.mean([(a > b) + (a == b) / 2 for a in train for b in held_out])
    measured = HeldOutLogits(dataset(train), dataset(held_out), False, CPU).preference(Brightness())
    assert measured == pytest.approx(expected)


def test_overfitting_is_the_difference_of_log_d():
    train, held_out = np.array([10, 20, 250]), np.array([5, 20, 25])
    a, b = (np.log(1 / (1 + np.exp(-part / 255))) for part in (train, held_out))
    measured = HeldOutLogits(dataset(train.tolist()), dataset(held_out.tolist()), False, CPU).overfitting(Brightness())
    assert measured == pytest.approx((a.mean() - b.mean(), np.hypot(stats.sem(a), stats.sem(b))), rel=1e-5)


def test_d_overfits_few_images(tmp_path):
    """On the images that D is trained on, the JSD estimate is far above the estimate on the images that were left out."""
    networks = {
        "generator": {"kind": "paper", "width": 64},
        "discriminator": {"kind": "paper", "width": 64, "pieces": 2, "keep_input": 1.0, "keep_hidden": 1.0},
    }
    rule = {"generator": {"kind": "adam", "learning_rate": 5e-4}, "discriminator": {"kind": "adam", "learning_rate": 2e-3}}
    data = {"source": "digits", "first": 30}
    run = start(tmp_path / "run", data=data, m=30, k=4, steps=100, rule=rule, every={"log": 50}, **networks)
    run.fit()
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").open()]
    last = [entry for entry in entries if "V" in entry][-1]
    assert last["JSD"] - last[HELD_OUT_JSD] > max(0.1, 2 * last[HELD_OUT_JSD_ERROR])


def test_overfitting_is_reported_once_with_advice():
    watch = validate_recipe(recipe_document(watch={"reports": 3}), "test").watch
    diagnostics = Diagnostics(watch)
    found = [diagnostics.check_memorization(value) for value in (0.9, 0.7, 0.9, 0.9, 0.9, 0.9)]
    assert [[entry.kind for entry in entries] for entries in found] == [[], [], [], [], ["overfitting"], []]
    assert "augmentation" in found[4][0].message


def test_held_out_logits_of_a_folder_are_logged(tmp_path):
    folder = write_icons(tmp_path / "icons", 60, side=8)
    run = start(tmp_path / "run", data={"source": "folder", "path": str(folder)}, conditional=True, steps=10)
    run.fit()
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").open()]
    values = [entry["memorized"] for entry in entries if "V" in entry]
    assert len(values) == 2
    assert all(0 <= value <= 1 for value in values)


def test_packed_data_resume_exactly(tmp_path):
    folder = write_icons(tmp_path / "icons", 60, side=8)
    fields = {"data": {"source": "folder", "path": str(folder)}, "conditional": True}
    whole = start(tmp_path / "whole", steps=12, **fields)
    whole.fit()
    start(tmp_path / "parts", steps=7, **fields).fit()
    resumed = resume_run(tmp_path / "parts", CPU, pytest.fail, ["steps=12"])
    resumed.fit()
    assert_same(weights(whole), weights(resumed))
    Image.new("RGB", (8, 8)).save(folder / "sun" / "new.png")
    with raises(TrainingError, "data_changed"):
        resume_run(tmp_path / "parts", CPU, pytest.fail, ["steps=20"])


def test_a_run_from_before_the_draw_continues_in_the_stored_order(tmp_path):
    """Its checkpoints and its recipe have no `data.order`."""
    data = {"source": "digits", "first": 40}
    start(tmp_path / "run", steps=5, data={**data, "order": "stored"}).fit()
    (_, path) = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    new = load_checkpoint(path)
    old = {key: value for key, value in new.recipe["data"].items() if key != "order"}
    save_checkpoint(path.parent, replace(new, recipe={**new.recipe, "data": old}))
    recipe = tmp_path / "run" / "recipe.yaml"
    recipe.write_text("".join(line for line in recipe.open() if "order: stored" not in line))
    with raises(RecipeError, "recipe_changed", field="data.order"):
        resume_run(tmp_path / "run", CPU, pytest.fail, ["steps=8"])
    resumed = resume_run(tmp_path / "run", CPU, pytest.fail, ["steps=8", "data.order=stored"])
    resumed.fit()
    whole = start(tmp_path / "whole", steps=8, data={**data, "order": "stored"})
    whole.fit()
    assert_same(weights(whole), weights(resumed))


def test_another_learning_rate_is_recorded(tmp_path):
    rate = "rule.discriminator.learning_rate"
    start(tmp_path / "run", steps=5).fit()
    run = resume_run(tmp_path / "run", CPU, pytest.fail, ["steps=10", f"{rate}=5e-4"])
    run.fit()
    (change,) = run.recipe.history
    assert (change.step, change.field, change.old, change.new) == (5, rate, 1e-3, 5e-4)
    again = resume_run(tmp_path / "run", CPU, pytest.fail, ["steps=12"])
    again.fit()
    assert again.recipe.history == [change]  # resuming without a change records nothing
    checkpoint = load_checkpoint(list_checkpoints(tmp_path / "run" / "checkpoints")[-1][1])
    assert len(checkpoint.recipe["history"]) == 1
    card = GeneratorFile(export_run(tmp_path / "run", "x", None, None, None)).card
    assert card.provenance.recipe["history"][0]["new"] == 5e-4
    unchanged = start(tmp_path / "other", steps=12)
    unchanged.fit()
    assert any(not torch.equal(a, b) for a, b in zip(weights(again).values(), weights(unchanged).values(), strict=True))


def test_a_full_disk_names_the_file_and_keeps_the_run(tmp_path, monkeypatch):
    run = start(tmp_path / "run", steps=20)

    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("seedmint.models.files.os.fsync", lambda descriptor: fail(descriptor) if run.step == 10 else None)
        with pytest.raises(TrainingError) as caught:
            run.fit()
    assert caught.value.reason == "disk_full"
    assert "step-000000010" in str(caught.value)
    resumed = resume_run(tmp_path / "run", CPU, pytest.fail)
    assert resumed.step == 5
    resumed.fit()
    whole = start(tmp_path / "whole", steps=20)
    whole.fit()
    assert_same(weights(whole), weights(resumed))


def test_other_versions_are_noted(tmp_path, monkeypatch):
    start(tmp_path / "run", steps=5).fit()
    monkeypatch.setattr("seedmint.training.runs.versions.library_versions", lambda: {"numpy": "0.1", "torch": "0.2"})
    notes = []
    resume_run(tmp_path / "run", CPU, notes.append)
    assert len(notes) == 1
    assert "torch" in notes[0]

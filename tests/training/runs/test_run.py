"""Training runs: their files, and exact resume."""

import json
import os
import random
import signal
import time

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seedmint.models.errors import UserError
from seedmint.training.evaluation.metric_families import num_samples
from seedmint.training.recipes.schema import RecipeError, validate_recipe
from seedmint.training.runs.checkpoints import (
    MAX_CHECKPOINTS,
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from seedmint.training.runs.directory import create_run, resume_run
from seedmint.training.runs.errors import CheckpointError, TrainingError
from seedmint.training.runs.hooks import Hook
from seedmint.training.runs.trainer import Trainer
from tests.support.errors import raises
from tests.support.recipes import PAPER, PAPER_MINIMAX, recipe_document
from tests.support.training_processes import run_command

CPU = torch.device("cpu")


def start(directory, **fields):
    return create_run(directory, validate_recipe(recipe_document(**fields), "test"), CPU)


def finish(run: Trainer):
    run.fit()
    return final(run.directory)


def final(directory):
    return load_checkpoint(list_checkpoints(directory / "checkpoints")[-1][1])


def assert_same(first: Checkpoint, second: Checkpoint):
    assert first.step == second.step
    assert first.tensors.keys() == second.tensors.keys()
    for name in first.tensors:
        assert first.tensors[name].numpy().tobytes() == second.tensors[name].numpy().tobytes(), name


def test_files_of_a_run(tmp_path):
    run = start(tmp_path / "r", conditional=True)
    events = []
    run.fit(events.append)
    directory = tmp_path / "r"
    assert validate_recipe(yaml.safe_load((directory / "recipe.yaml").read_text()), "r") == run.recipe
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    log = [entry for entry in lines if "V" in entry]
    assert [entry["step"] for entry in log] == [5, 10, 15, 20] == [event.step for event in events if event.statistics]
    assert set(log[0]) == {"step", "V", "D(x)", "D(G(z))", "JSD", "images/s"}
    assert [entry["step"] for entry in lines if "diversity" in entry] == [10, 20]
    assert log[0]["JSD"] == pytest.approx((log[0]["V"] + np.log(4)) / 2, abs=1e-5)
    assert [path.name for path in sorted((directory / "previews").iterdir())] == ["step-000000010.png", "step-000000020.png"]
    assert Image.open(directory / "previews" / "step-000000020.png").size[0] > 500
    assert [step for step, _ in list_checkpoints(directory / "checkpoints")] == [10, 15, 20]
    board = EventAccumulator(str(directory / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("V")] == [5, 10, 15, 20]
    assert [event.value for event in board.Scalars("V")] == pytest.approx([entry["V"] for entry in log], abs=1e-5)
    assert [event.step for event in board.Scalars("diversity")] == [10, 20]


RECIPES = {
    "convolutional": {"conditional": True},
    "paper": {**PAPER_MINIMAX, "every": {"log": 4, "preview": 7, "checkpoint": 6}},
    "simultaneous": {
        **PAPER,
        "order": "simultaneous",
        "precision": "bfloat16",
        "every": {"log": 4, "preview": 7, "checkpoint": 6},
    },
}


@pytest.mark.parametrize("kind", RECIPES)
def test_runs_are_reproducible_and_depend_on_the_seed(tmp_path, kind):
    one, two = (finish(start(tmp_path / name, **RECIPES[kind])) for name in "ab")
    assert_same(one, two)
    other = finish(start(tmp_path / "c", **RECIPES[kind], seed=1))
    assert any(not torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("kind", RECIPES)
def test_resumed_run_equals_uninterrupted_run(tmp_path, kind):
    whole = finish(start(tmp_path / "whole", **RECIPES[kind]))
    run = start(tmp_path / "parts", **RECIPES[kind])

    class StopAtCheckpoint(Hook):
        def on_checkpoint(self, trainer, path):
            raise StoppedError

    for _ in range(2):
        run.hooks.append(StopAtCheckpoint())
        with pytest.raises(StoppedError):
            run.fit()
        run = resume_run(tmp_path / "parts", CPU, pytest.fail)
    assert run.step > 0
    assert_same(finish(run), whole)
    logs = [
        [{k: v for k, v in json.loads(line).items() if k != "images/s"} for line in (tmp_path / p / "log.jsonl").open()]
        for p in ("whole", "parts")
    ]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_run_after_the_current_iteration(tmp_path, number):
    run = start(tmp_path / "r")
    iterate = run.algorithm.iterate

    def interrupted_iterate(step):
        if step == 7:
            os.kill(os.getpid(), number)
        return iterate(step)

    run.algorithm.iterate = interrupted_iterate
    run.fit()
    assert (run.step, run.interrupted_by) == (8, number)
    again = resume_run(tmp_path / "r", CPU, pytest.fail)
    assert again.step == 8
    assert_same(finish(again), finish(start(tmp_path / "whole")))


@pytest.mark.slow
def test_resume_after_ctrl_c_gives_identical_weights(tmp_path, processes):
    outputs = []

    def seedmint(*arguments):
        outputs.append(tmp_path / f"output-{len(outputs)}")
        process = processes.Process(target=run_command, args=([*map(str, arguments)], outputs[-1]))
        process.start()
        return process

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(recipe_document(steps=600, every={"log": 7, "preview": 400, "checkpoint": 1000})))
    whole = seedmint("train", recipe, "--out", tmp_path / "whole")
    command, random_moments = ("train", recipe, "--out", tmp_path / "stopped"), random.Random(1)
    for _ in range(2):
        process = seedmint(*command)
        log = tmp_path / "stopped" / "log.jsonl"
        size = log.stat().st_size if log.exists() else 0
        while process.is_alive() and (not log.exists() or log.stat().st_size <= size):
            time.sleep(0.002)
        time.sleep(random_moments.random() * 0.3)
        os.kill(process.pid, signal.SIGINT)
        process.join(60)
        assert process.exitcode == 130, outputs[-1].read_text()
        assert "Traceback" not in outputs[-1].read_text()
        command = ("resume", tmp_path / "stopped")
    for process in (seedmint(*command), whole):
        process.join(120)
        assert process.exitcode == 0, [output.read_text() for output in outputs]
    assert_same(final(tmp_path / "stopped"), final(tmp_path / "whole"))


@pytest.mark.parametrize("damage", ["cut", "empty", "flip"])
def test_damaged_checkpoint_is_skipped(tmp_path, damage):
    whole = finish(start(tmp_path / "r"))
    path = list_checkpoints(tmp_path / "r" / "checkpoints")[-1][1]
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = bytearray()
    else:
        content[-100] ^= 1
    path.write_bytes(content)
    warnings = []
    run = resume_run(tmp_path / "r", CPU, warnings.append)
    assert run.step == 15
    assert path.name in warnings[0]
    assert path.with_suffix(".damaged").exists()
    assert_same(finish(run), whole)


def test_run_with_only_damaged_checkpoints_is_not_restarted(tmp_path):
    finish(start(tmp_path / "r"))
    log = (tmp_path / "r" / "log.jsonl").read_bytes()
    for _, path in list_checkpoints(tmp_path / "r" / "checkpoints"):
        path.write_bytes(b"")
    with raises(CheckpointError, "all_damaged"):
        resume_run(tmp_path / "r", CPU, lambda message: None)
    assert (tmp_path / "r" / "log.jsonl").read_bytes() == log


def test_run_can_be_extended_but_not_changed(tmp_path):
    finish(start(tmp_path / "r"))
    run = resume_run(tmp_path / "r", CPU, pytest.fail, ["steps=30", "every.log=7"])
    assert_same(finish(run), finish(start(tmp_path / "whole", steps=30, every={"log": 5, "preview": 10, "checkpoint": 5})))
    assert resume_run(tmp_path / "r", CPU, pytest.fail).recipe.steps == 30
    for override, reason in (("k=2", "recipe_changed"), ("steps=3", "steps_already_done")):
        with raises(RecipeError, reason, override.partition("=")[0]):
            resume_run(tmp_path / "r", CPU, pytest.fail, [override])


def test_run_is_locked_during_training(tmp_path):
    run = start(tmp_path / "r")

    def resume_again(event):
        with raises(TrainingError, "locked"):
            resume_run(tmp_path / "r", CPU, pytest.fail)

    run.fit(resume_again)


def test_unreadable_log_lines_are_ignored(tmp_path):
    finish(start(tmp_path / "r"))
    log = tmp_path / "r" / "log.jsonl"
    log.write_bytes(log.read_bytes() + b"\0" * 40 + b"\n" + b'{"step": 2')
    run = resume_run(tmp_path / "r", CPU, pytest.fail, ["steps=25"])
    finish(run)
    entries = [json.loads(line) for line in log.open()]
    assert [entry["step"] for entry in entries if "V" in entry] == [5, 10, 15, 20, 25]


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    for step in range(1, MAX_CHECKPOINTS + 4):
        save_checkpoint(tmp_path, Checkpoint(step, {}, {}, {"x": torch.full((2,), step)}))
    assert [step for step, _ in list_checkpoints(tmp_path)] == list(range(4, MAX_CHECKPOINTS + 4))


def test_invalid_checkpoint_file_is_refused(tmp_path):
    path = tmp_path / "step-000000001.safetensors"
    path.write_bytes(b"not at all")
    with raises(CheckpointError, "damaged"):
        load_checkpoint(path)


def test_changed_recipe_is_refused(tmp_path):
    finish(start(tmp_path / "r"))
    path = tmp_path / "r" / "recipe.yaml"
    path.write_text(path.read_text().replace("m: 16", "m: 32"))
    with raises(RecipeError, "recipe_changed", "m"):
        resume_run(tmp_path / "r", CPU, pytest.fail)


def test_changed_data_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8))
    finish(start(tmp_path / "r", data={"source": "npz", "path": str(tmp_path / "x.npz")}))
    np.savez(tmp_path / "x.npz", images=np.random.default_rng(1).integers(0, 256, (40, 8, 8), dtype=np.uint8))
    with raises(TrainingError, "data_changed", "data"):
        resume_run(tmp_path / "r", CPU, pytest.fail)


def test_changed_class_names_are_refused(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    for classes in (["a", "b"], ["b", "a"]):
        np.savez(tmp_path / "x.npz", images=images, labels=np.arange(40) % 2, classes=classes)
        if classes[0] == "a":
            finish(start(tmp_path / "r", conditional=True, data={"source": "npz", "path": str(tmp_path / "x.npz")}))
    with raises(TrainingError, "data_changed", "data"):
        resume_run(tmp_path / "r", CPU, pytest.fail)


def test_run_with_a_relative_data_path_resumes_from_another_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", images=np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8))
    finish(start(tmp_path / "r", data={"source": "npz", "path": "x.npz"}))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resume_run(tmp_path / "r", CPU, pytest.fail).step == 20


def test_run_that_cannot_be_exported_does_not_start(tmp_path):
    images = np.zeros((40, 8, 8), np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(40) % 2, classes=["a", "b\n"])
    with raises(UserError, "invalid_card"):
        start(tmp_path / "r", conditional=True, data={"source": "npz", "path": str(tmp_path / "x.npz")})


def test_nonempty_directory_is_refused(tmp_path):
    start(tmp_path / "r")
    with raises(TrainingError, "run_exists", "out"):
        start(tmp_path / "r")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with raises(TrainingError, "not_empty", "out"):
        start(tmp_path / "other")


def test_failed_start_creates_no_directory(tmp_path):
    with raises(UserError, "too_few_examples", "m"):
        start(tmp_path / "r", m=5000)
    assert not (tmp_path / "r").exists()


def test_networks_start_in_training_mode(tmp_path):
    algorithm = start(tmp_path / "r").algorithm
    assert algorithm.generator.training
    assert algorithm.discriminator.training
    assert not algorithm.ema.training


def test_ema_formula(tmp_path):
    algorithm = start(tmp_path / "r", ema=0.9, conditional=True).algorithm
    expected = {name: tensor.double() for name, tensor in algorithm.generator.state_dict().items()}
    for step in range(20):
        algorithm.iterate(step)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, tensor in algorithm.generator.state_dict().items():
            floating = tensor.is_floating_point()
            expected[name] = decay * expected[name] + (1 - decay) * tensor.double() if floating else tensor.double()
    for name, tensor in algorithm.ema.state_dict().items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-4, atol=1e-6)
    assert not torch.equal(algorithm.ema.output.weight, algorithm.generator.output.weight)


def test_ema_equals_the_generator_before_its_start(tmp_path):
    algorithm = start(tmp_path / "r", ema=0.9, ema_start=3).algorithm
    for step in range(6):
        algorithm.iterate(step)
        same = all(map(torch.equal, algorithm.ema.parameters(), algorithm.generator.parameters()))
        assert same == (step < 3)


def test_ema_can_be_added_before_its_start_step(tmp_path):
    whole = finish(start(tmp_path / "whole", ema=0.9, ema_start=10))
    finish(start(tmp_path / "part", ema=0.0, steps=10))
    overrides = ["steps=20", "ema=0.9", "ema_start=10"]
    assert_same(whole, finish(resume_run(tmp_path / "part", CPU, pytest.fail, overrides)))
    with raises(RecipeError, "recipe_changed", "ema_start"):
        resume_run(tmp_path / "part", CPU, pytest.fail, ["ema_start=12"])


def test_metrics_can_be_added_on_resume(tmp_path, monkeypatch):
    monkeypatch.setattr("seedmint.training.runs.metrics_hook.num_samples", lambda name, _, real: num_samples(name, 200, real))
    finish(start(tmp_path / "r"))
    later = resume_run(tmp_path / "r", CPU, pytest.fail, ["steps=25", "metrics=[parzen]", "every.evaluate=25"])
    finish(later)
    lines = [json.loads(line) for line in (tmp_path / "r" / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["weights"]) for line in lines if "metrics" in line] == [(25, "last"), (25, "ema")]

"""A run that is killed at any moment and resumed gives the same weights, log and previews, bit for bit."""

import json
import os
import random
import signal
import time

import pytest
import torch

from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.checkpoints import list_checkpoints, load_checkpoint
from seedmint.training.runs.directory import create_run, resume_run
from tests.support.icons import write_icons
from tests.support.recipes import ADAM, PAPER, recipe_document

NUM_KILLS = 20
STEPS = 260  # many more than the kills leave behind, also where this process is late
DISK_SECONDS = {"convolutional": 0.02, "paper": 0.02, "residual": 0.1}  # of the order of a step, so that kills hit both
CPU = torch.device("cpu")
RESIDUAL = {"kind": "residual", "capacity": "small", "width": 4}
PACKED = "images of a folder, packed, with held-out logits"
RECIPES = {
    PACKED: {**PAPER, "conditional": True, "watch": {"epsilon": 0.49, "reports": 3}},
    "alternating, float32, convolutional": {"conditional": True},
    "residual, relativistic, penalties, schedules, adaptive augmentation": {
        "generator": RESIDUAL,
        "discriminator": RESIDUAL,
        "conditional": True,
        "objective": "relativistic",
        "penalty": {"r1": {"start": 1.0, "end": 0.1, "steps": 200}, "r2": 1.0, "every": 4},
        "augmentation": {"kind": "ada", "ramp": 5000, "target": 0.1},
        "ema": {"start": 0.5, "end": 0.99, "steps": 100},
        "watch": {"epsilon": 0.49, "reports": 3},  # a diagnostic, soon
        "rule": {
            "generator": {**ADAM, "learning_rate": {"start": 1e-3, "end": 1e-4, "steps": 300}, "warmup": 20},
            "discriminator": {**ADAM, "beta2": {"start": 0.9, "end": 0.99, "steps": 200}},
        },
    },
    "simultaneous, bfloat16, with dropout": {
        **PAPER,
        "order": "simultaneous",
        "precision": "bfloat16",
        "rule": {"generator": {"kind": "momentum", "learning_rate": 0.01}, "discriminator": ADAM},
    },
}


def train(directory, document):
    if directory.exists():
        resume_run(directory, CPU, pytest.fail).fit()
    else:
        create_run(directory, validate_recipe(document, "test"), CPU).fit()


def train_on_a_slow_disk(directory, document):
    sync, delay = os.fsync, DISK_SECONDS[document["generator"]["kind"]]
    os.fsync = lambda descriptor: (time.sleep(delay), sync(descriptor))
    train(directory, document)


def steps_saved(directory):
    return max((step for step, _ in list_checkpoints(directory / "checkpoints")), default=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECIPES)
def test_sigkill_at_twenty_random_moments_changes_nothing(tmp_path, processes, kind):
    every = {"log": 7, "preview": 30, "preview_seconds": None, "checkpoint": 1}
    document = recipe_document(steps=STEPS, every=every, **RECIPES[kind])
    if kind == PACKED:
        document["data"] = {"source": "folder", "path": str(write_icons(tmp_path / "icons", 60, side=8))}
    train(tmp_path / "whole", document)
    killed, random_moments, steps_reached, partial_files = tmp_path / "killed", random.Random(0), [], 0
    while len(steps_reached) < NUM_KILLS:
        victim = processes.Process(target=train_on_a_slow_disk, args=(killed, document))
        victim.start()
        due = steps_saved(killed) + random_moments.randrange(0 if steps_reached else 1, 7)
        while victim.is_alive() and steps_saved(killed) < due:
            time.sleep(0.001)
        time.sleep(random_moments.random() * 5 * DISK_SECONDS[document["generator"]["kind"]])
        victim.kill()
        victim.join()
        assert victim.exitcode == -signal.SIGKILL, "the run ended before the kill: increase the number of steps"
        steps_reached.append(steps_saved(killed))
        partial_files += len(list((killed / "checkpoints").glob(".*")))
    assert 0 < steps_reached[0] < steps_reached[-1] < STEPS
    assert partial_files > 0, "no kill interrupted a checkpoint: increase the number of kills"
    last = processes.Process(target=train, args=(killed, document))
    last.start()
    last.join()
    assert last.exitcode == 0
    assert_same(tmp_path / "whole", killed)


def assert_same(first, second):
    weights = [load_checkpoint(list_checkpoints(directory / "checkpoints")[-1][1]) for directory in (first, second)]
    assert weights[0].step == weights[1].step
    assert weights[0].metadata == weights[1].metadata
    assert weights[0].tensors.keys() == weights[1].tensors.keys()
    for name, tensor in weights[0].tensors.items():
        assert tensor.numpy().tobytes() == weights[1].tensors[name].numpy().tobytes(), name
    logs = [[without_rate(line) for line in (directory / "log.jsonl").open()] for directory in (first, second)]
    assert logs[0] == logs[1]
    assert any("diagnostic" in entry for entry in logs[0]), "the counts of the diagnostics are not tested"
    previews = [{path.name: path.read_bytes() for path in (directory / "previews").iterdir()} for directory in (first, second)]
    assert previews[0] == previews[1]


def without_rate(line):
    return {key: value for key, value in json.loads(line).items() if key != "images/s"}
